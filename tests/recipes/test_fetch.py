"""recipes/fetch.sh against local servers that break off, cannot resume, serve another file, refuse, or send nothing."""

import hashlib
import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 400
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@contextmanager
def server(
    content: bytes = CONTENT, break_after: int = 0, ranges: bool = True, status: int = 200
) -> Iterator[tuple[str, list[int]]]:
    """Serves `content`, answers broken off after so many bytes (0: whole); yields the URL and the offsets asked for."""
    asked: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-")) if ranges else 0
            asked.append(start)
            if status != 200 or (start and start >= len(content)):
                self.send_error(status if status != 200 else 416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : start + break_after] if break_after else content[start:])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}/corpus.tar.gz", asked
        http_server.shutdown()


def fetch(url: str, path: Path, checksum: str = CHECKSUM, attempts: int = 1) -> subprocess.CompletedProcess:
    environment = {"PATH": "/usr/bin:/bin", "TIMEOUT": "1", "ATTEMPTS": str(attempts)}
    command = ["bash", "recipes/fetch.sh", url, str(path), checksum]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def fails_with(done: subprocess.CompletedProcess, words: str, path: Path) -> None:
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1], done.stderr
    assert done.stderr.splitlines()[-1].startswith("fetch: ")
    assert not path.exists()


def test_whole_file_once(tmp_path):
    path = tmp_path / "download" / "corpus"
    with server() as (url, asked):
        assert fetch(url, path).returncode == 0
        assert fetch(url, path).returncode == 0
    assert path.read_bytes() == CONTENT
    assert asked == [0]
    assert [entry.name for entry in path.parent.iterdir()] == ["corpus"]


def test_goes_on_where_it_was_broken_off(tmp_path):
    path = tmp_path / "corpus"
    half = len(CONTENT) // 2
    with server(break_after=half) as (url, asked):
        fails_with(fetch(url, path), f"broken off after {half} bytes", path)
        assert (tmp_path / "corpus.part").stat().st_size == half
        assert fetch(url, path).returncode == 0
    assert path.read_bytes() == CONTENT
    assert asked == [0, half]


def test_tries_again_by_itself(tmp_path):
    path = tmp_path / "corpus"
    with server(break_after=len(CONTENT) // 2) as (url, asked):
        assert fetch(url, path, attempts=2).returncode == 0
    assert len(asked) == 2


def test_server_that_cannot_resume(tmp_path):
    path = tmp_path / "corpus"
    (tmp_path / "corpus.part").write_bytes(CONTENT[:1000])
    with server(ranges=False) as (url, _):
        assert fetch(url, path, attempts=2).returncode == 0
    assert path.read_bytes() == CONTENT


def test_killed_before_the_renaming(tmp_path):
    path = tmp_path / "corpus"
    (tmp_path / "corpus.part").write_bytes(CONTENT)
    with server() as (url, asked):
        assert fetch(url, path).returncode == 0
    assert path.read_bytes() == CONTENT
    assert asked == []


def test_web_page_instead_of_the_file(tmp_path):
    path = tmp_path / "corpus"
    with server(b"<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>") as (url, _):
        fails_with(fetch(url, path), "not the right file: a web page", path)
    assert list(tmp_path.iterdir()) == []


def test_another_file_after_a_first_half(tmp_path):
    path = tmp_path / "corpus"
    (tmp_path / "corpus.part").write_bytes(CONTENT[:1000])
    with server(CONTENT[::-1]) as (url, _):
        fails_with(fetch(url, path), "not the right file", path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_refused(tmp_path, status):
    path = tmp_path / "corpus"
    with server(status=status) as (url, _):
        fails_with(fetch(url, path), "the server refuses", path)


def test_nothing_is_sent(tmp_path):
    path = tmp_path / "corpus"
    with server(b"") as (url, _):
        fails_with(fetch(url, path, checksum=""), "sent nothing", path)
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(tmp_path):
    path = tmp_path / "corpus"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        fails_with(fetch(url, path), "broken off after 0 bytes", path)
    fails_with(fetch(url, path), "broken off after 0 bytes", path)
    fails_with(fetch("no-such-scheme://x/y", path), "cannot be fetched", path)
