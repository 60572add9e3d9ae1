"""The file of a checkpoint before anything in it is unpickled: are its records whole, and as large as they say?

torch.save writes a zip archive: `data.pkl`, and one uncompressed record for the storage of each tensor. torch reads
as many bytes of a record as `data.pkl` asks for, whatever the record's length, so a shortened record would be read
into its neighbour, and a small file could ask for any amount of memory. Before torch 1.6 it was a row of pickles with
the storages behind them. Nothing here runs what a pickle names: every name stands for an inert object.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import IO, Any, ClassVar

import torch

MAX_PICKLE = 64 << 20  # bytes of data.pkl; that of Transformer-big with its optimizer has 0.3 MB
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_ITEM_BYTES = {
    "DoubleStorage": 8, "LongStorage": 8, "ComplexFloatStorage": 8, "FloatStorage": 4, "IntStorage": 4,
    "HalfStorage": 2, "BFloat16Storage": 2, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
    "UntypedStorage": 1,
}  # fmt: skip


class ArchiveError(Exception):
    """Records that are not whole, or not what the archive says they are; the message says which."""


class _Inert:
    """Stands for whatever class or function a pickle names; takes every call and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return object.__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...


class _Storages(pickle._Unpickler):  # the one written in C takes memory for any memo number that is asked for
    """Reads a pickle of torch.save for the storages that it asks for: key -> bytes."""

    # torch.save writes no bytearray, and one takes the memory that it says it needs before a byte of it is read.
    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.sizes: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _ITEM_BYTES.get(name, _Inert) if module in ("torch", "torch.storage") else _Inert

    def persistent_load(self, pid: Any) -> _Inert:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise ArchiveError("names a storage in a way that torch.save does not")
        _, item_bytes, key, _, numel = pid[:5]
        if not (type(item_bytes) is int and type(numel) is int and numel >= 0):
            raise ArchiveError(f"storage {key!r:.40} has no type or size that fairseq's checkpoints have")
        size = numel * item_bytes
        if self.sizes.setdefault(str(key), size) != size:
            raise ArchiveError(f"storage {key!r:.40} has two sizes")
        return _Inert()


def write_archive(thing: Any, path: Path) -> None:
    """torch.save, through a file of Python: torch's own does not say why the system refused to write.

    Raises:
        OSError: The system refused, and why.
    """
    with open(path, "wb") as file:
        try:
            torch.save(thing, file)
        except RuntimeError as error:  # of closing the archive, after the one that tells
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def check_archive(path: str | Path) -> bool:
    """Checks that every record of a checkpoint is there, uncompressed, and as long as its tensors need.

    Args:
        path: The file.

    Returns:
        Whether it is a zip archive, which can be memory-mapped.

    Raises:
        ArchiveError: A record is missing, too short, compressed, overlaps another, or the pickle is too large.
        OSError: The file cannot be read.
    """
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            _check_legacy(file, Path(path).stat().st_size)
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            _check_zip(archive, Path(path).stat().st_size)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ArchiveError(f"is no whole archive ({' '.join(str(error).split())})") from error
    return True


def _check_zip(archive: zipfile.ZipFile, size: int) -> None:
    records = archive.infolist()
    names = {record.filename: record for record in records}
    if len(names) != len(records):
        raise ArchiveError("has two records of one name")
    end = 0
    for record in sorted(records, key=lambda record: record.header_offset):
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            raise ArchiveError(f"record {record.filename!r:.80} is compressed; torch.save does not compress")
        if record.header_offset < end:
            raise ArchiveError(f"record {record.filename!r:.80} lies inside another")
        end = record.header_offset + record.file_size
    if end > size:
        raise ArchiveError("is shorter than its records")
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ArchiveError("has no data.pkl")
    if names[pickles[0]].file_size > MAX_PICKLE:
        raise ArchiveError(f"data.pkl has {names[pickles[0]].file_size:,} bytes, more than any checkpoint needs")
    with archive.open(pickles[0]) as file:
        wanted = _read_storages(file)
    folder = pickles[0].removesuffix("data.pkl")
    for key, needed in wanted.items():
        stored = names.get(f"{folder}data/{key}")
        if stored is None or stored.file_size != needed:
            there = "missing" if stored is None else f"{stored.file_size:,} bytes"
            raise ArchiveError(f"the record of storage {key!r:.40} is {there}, and its tensors need {needed:,}")


def _check_legacy(file: IO[bytes], size: int) -> None:
    """The format before torch 1.6: magic number, protocol, system, the object, the keys, then the storages."""
    try:
        if _Storages(file).load() != _LEGACY_MAGIC:
            raise ArchiveError("cannot be read; it is cut short or no checkpoint")
        for _ in range(2):
            _Storages(file).load()
        wanted = _read_storages(file)
    except ArchiveError:
        raise
    except Exception as error:  # bytes that are no pickle end in any of them
        raise ArchiveError("cannot be read; it is cut short or no checkpoint") from error
    if sum(wanted.values()) > size:
        raise ArchiveError(f"its tensors need {sum(wanted.values()):,} bytes, and the file has {size:,}")


def _read_storages(file: IO[bytes]) -> dict[str, int]:
    reader = _Storages(file)
    try:
        reader.load()
    except ArchiveError:
        raise
    except Exception as error:  # as above
        raise ArchiveError("its pickle is damaged") from error
    return reader.sizes
