"""How the bytes of a text file become text, for every reader: one rule for compression, marks and line ends.

Plain or gzip-compressed UTF-8 is read piece by piece, so that a line that does not end, and a gzip file that would
unpack to an absurd size, are refused on the way. Lines end with a line feed, which a carriage return may precede, and
with nothing else.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from probing_bridge.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 4 << 30  # no corpus of these tasks has even a tenth of this
MAX_LINE = 1 << 20  # bytes; a document of a million characters, or a word with 50,000 numbers
BOMB_BYTES = 4 << 20  # small files may compress as well as they like,
BOMB_RATIO = 50  # larger ones not better than text does (about 5 to 30)
MARK = "\ufeff"  # byte-order mark

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


def file_bytes(path: str | Path, *, longest_line: int = MAX_LINE, most: int = MAX_BYTES) -> bytes:
    """The content of a text file, unpacked if it is compressed.

    Args:
        path: Plain or gzip-compressed.
        longest_line: The most bytes between two line ends.
        most: The most bytes of all.

    Raises:
        InputError: It cannot be read, is damaged gzip data, or has more bytes, or a longer line, than there can be.
    """
    path = Path(path)
    pieces: list[bytes] = []
    size = begun = 0  # bytes so far; those of the line that has not ended yet
    try:
        with path.open("rb") as packed:
            stored = os.fstat(packed.fileno()).st_size
            is_gzip = packed.peek(2)[:2] == GZIP_MAGIC
            limit = min(most, max(BOMB_BYTES, BOMB_RATIO * stored)) if is_gzip else most
            file = gzip.GzipFile(fileobj=packed) if is_gzip else packed
            while piece := file.read(longest_line):
                size += len(piece)
                if size > limit:
                    raise InputError(f"has more than {limit:,} bytes of text (the file: {stored:,}): refused", path)
                ends = piece.replace(b"\r", b"\n")
                first = ends.find(b"\n")
                if begun + (len(piece) if first < 0 else first) > longest_line:
                    line = 1 + sum(before.count(b"\n") for before in pieces)
                    raise InputError(f"a line of more than {longest_line:,} bytes: refused", path, line)
                begun = begun + len(piece) if first < 0 else len(piece) - 1 - ends.rfind(b"\n")
                pieces.append(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"is a damaged or incomplete gzip file ({error})", path) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path) from error
    except ValueError as error:  # a zero byte in the name
        raise InputError("is not a file name", repr(str(path))) from error
    return b"".join(pieces)


def plain_lines(path: str | Path) -> list[str]:
    """The lines of a text file, without their ends; see plain_text.

    Raises:
        InputError: As for file_bytes and plain_text.
    """
    return plain_text(file_bytes(path), Path(path)).removesuffix("\n").split("\n")


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The same lines one by one, with their numbers from 1, of a file that may be larger than memory.

    Raises:
        InputError: As for file_bytes and plain_text.
    """
    for number, line in _lines(path):
        yield number, plain_text(line, Path(path), first_line=number).removesuffix("\n")


def raw_lines(path: str | Path) -> Iterator[str]:
    """The lines one by one as they stand, with marks and carriage returns inside of them, without their ends.

    Raises:
        InputError: It cannot be read, has an endless line, or is not UTF-8.
    """
    for number, line in _lines(path):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise InputError(f"is not UTF-8 ({error.reason} at byte {error.start})", path, number) from error


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
                if len(line) > MAX_LINE and not line.endswith(b"\n"):
                    raise InputError(f"a line of more than {MAX_LINE:,} bytes: refused", path, number)
                yield number, line
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path) from error


def plain_text(data: bytes, path: Path, *, universal: bool = False, first_line: int = 1) -> str:
    """The text of a file: UTF-8, lines ended by line feeds, without byte-order marks wherever files were joined.

    Args:
        data: Its bytes, not compressed.
        path: Its path, for messages.
        universal: Whether a carriage return alone ends a line too, as in the original.
        first_line: The number of the first line of the data, for messages.

    Returns:
        The text. All marks (U+FEFF) are left out: inside of a text they are joins of files too, and never seen.

    Raises:
        InputError: Not text, not UTF-8, or a carriage return inside of a line.
    """
    try:
        text = data.decode("utf-8")
        at, fault = text.find("\0"), "a zero byte is not text"
        line = text.count("\n", 0, max(at, 0)) + first_line
    except UnicodeDecodeError as error:
        at = error.start
        fault = f"byte 0x{data[at]:02x} is not UTF-8; convert the file, as with iconv -t UTF-8"
        line = data.count(b"\n", 0, at) + first_line
    if at >= 0:
        name = next((name for magic, name in BINARY_MAGIC.items() if data.startswith(magic)), None)
        if name is not None:
            raise InputError(f"is {name}; expected UTF-8 text, plain or gzip-compressed", path)
        raise InputError(fault, path, line)
    text = text.replace(MARK, "")
    if "\r" in text:
        text = re.sub("\r\n?", "\n", text) if universal else text.replace("\r\n", "\n")
    if (at := text.find("\r")) >= 0:
        fault = r"a carriage return inside of a line; lines end with \n or \r\n: take it out, or convert the file"
        raise InputError(fault, path, text.count("\n", 0, at) + first_line)
    return text
