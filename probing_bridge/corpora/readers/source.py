"""The text of one corpus file, with what every reader needs: lines, sentence blocks, errors that name the place.

Plain or gzip-compressed UTF-8 is read whole; a gzip file that would unpack to an absurd size is refused on the way.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probing_bridge.corpora.readers.formats import FORMATS, guess_format
from probing_bridge.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 4 << 30  # no corpus of these tasks has even a tenth of this
BOMB_BYTES = 64 << 20  # small files may compress as well as they like,
BOMB_RATIO = 200  # larger ones not better than text does (about 5 to 30)
CHUNK_BYTES = 1 << 22
MAX_MESSAGE = 300  # characters; a column of a file that is no corpus may be endless

# What is often given by mistake, by its first bytes.
BINARY_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}

Block = list[tuple[int, str]]  # (1-based line number, line)


@dataclass(frozen=True)
class Source:
    """A corpus file in memory.

    Attributes:
        path: Where it is from.
        format: A key of FORMATS: what it is read as.
        text: All of it, its lines ended by line feeds.
        compat: Whether to read it as the code of Liu et al. (2019) does, faults included.
    """

    path: Path
    format: str
    text: str
    compat: bool

    def fault(self, message: str, line: int | None = None) -> InputError:
        """The error for a fault of this file.

        Args:
            message: What is wrong, what was expected.
            line: 1-based.

        Returns:
            The error to raise; it names the format that the file seems to have, if that is another one.
        """
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"
        guess = guess_format(self.text)
        if guess is not None and guess != self.format.removesuffix("-bioul"):
            message += f" (it looks like {FORMATS[guess].title}, and was read as {FORMATS[self.format].title})"
        return InputError(message, self.path, line)

    def lines(self) -> list[str]:
        """All lines, without their ends."""
        return self.text.split("\n")

    def blocks(self, *, comments: bool) -> Iterator[Block]:
        """Runs of lines between blank lines.

        Args:
            comments: Whether lines that begin with "#" are comments, which are left out.

        Yields:
            The numbered lines of a sentence; blocks without any are left out.
        """
        block: Block = []
        for number, line in enumerate(self.lines(), 1):
            if not line or not line.strip(" \t"):
                if block:
                    yield block
                    block = []
            elif not (comments and line.lstrip().startswith("#")):
                block.append((number, line))
        if block:
            yield block


def read_source(path: str | Path, format: str, *, compat: bool = False) -> Source:
    """Reads a file.

    Args:
        path: Plain or gzip-compressed UTF-8 text.
        format: A key of FORMATS.
        compat: See Source.

    Returns:
        Its text.

    Raises:
        InputError: No such file, not readable, damaged, of an absurd size, not text, or empty.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"has {path.stat().st_size} bytes, more than any corpus (at most {MAX_BYTES})", path)
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path) from error
    except ValueError as error:  # a zero byte in the name
        raise InputError("is not a file name", repr(str(path))) from error
    data = unpacked(data, path)
    source = Source(path, format, _decode(data, path), compat)
    if not source.text.strip():
        raise InputError(f"is empty; expected {FORMATS[format].title}", path)
    return source


def unpacked(data: bytes, path: Path) -> bytes:
    """The content of a text file: gzip data unpacked piece by piece, up to the size that text may have.

    Args:
        data: The bytes of the file, compressed or not.
        path: Its path, for messages.

    Raises:
        InputError: Damaged gzip data, or more text than there can be.
    """
    if not data.startswith(GZIP_MAGIC):
        return data
    limit = min(MAX_BYTES, max(BOMB_BYTES, BOMB_RATIO * len(data)))
    pieces, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while piece := file.read(CHUNK_BYTES):
                size += len(piece)
                if size > limit:
                    raise InputError(f"{len(data)} bytes unpack to more than {limit}: not text", path)
                pieces.append(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"is a damaged or incomplete gzip file ({error})", path) from error
    return b"".join(pieces)


def _decode(data: bytes, path: Path) -> str:
    """UTF-8 with universal line ends; a byte-order mark is left out."""
    try:
        text = data.decode("utf-8-sig")
        at, fault = text.find("\0"), "a zero byte is not text"
        line = text.count("\n", 0, max(at, 0)) + 1
    except UnicodeDecodeError as error:
        at = error.start
        fault = f"byte 0x{data[at]:02x} is not UTF-8; convert the file, as with iconv -t UTF-8"
        line = data.count(b"\n", 0, at) + 1
    if at >= 0:
        name = next((name for magic, name in BINARY_MAGIC.items() if data.startswith(magic)), None)
        if name is not None:
            raise InputError(f"is {name}; expected UTF-8 text, plain or gzip-compressed", path)
        raise InputError(fault, path, line)
    if "\r" in text:
        text = re.sub("\r\n?", "\n", text)
    return text
