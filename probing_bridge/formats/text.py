"""How the bytes of a text file become text, for every reader: one rule for compression, marks and line ends.

Plain or gzip-compressed UTF-8 is read whole; a gzip file that would unpack to an absurd size is refused on the way.
Lines end with a line feed, which a carriage return may precede, and with nothing else.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from pathlib import Path

from probing_bridge.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 4 << 30  # no corpus of these tasks has even a tenth of this
BOMB_BYTES = 64 << 20  # small files may compress as well as they like,
BOMB_RATIO = 200  # larger ones not better than text does (about 5 to 30)
CHUNK_BYTES = 1 << 22
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
