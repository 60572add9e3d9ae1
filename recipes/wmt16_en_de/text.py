"""The corpus of fairseq's WMT16 English-German recipe: takes the files that are needed, if they are whole.

    python text.py --archive wmt16_en_de.tar.gz --lines 4500966 3000 3003 --output TEXT
    python text.py --folder DIR --lines 4500966 3000 3003 --output TEXT     the same from an unpacked archive (linked)
    python text.py --binarised DIR --lines 4500966 3000 3003 --output DATA  what fairseq-preprocess made, with bpe.32000
                                                                            and newstest2014.de beside it (linked)

TEXT or DATA appears only when every file is there and has its lines.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tarfile
import zlib
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside

LANGUAGES = ("en", "de")
TRAIN, VALID, TEST = "train.tok.clean.bpe.32000", "newstest2013.tok.bpe.32000", "newstest2014.tok.bpe.32000"
REFERENCE = "newstest2014"
CODES = "bpe.32000"
TOLERANCE = 0.005  # of the training pairs, where they have been made by other versions of the tools
BLOCK = 1 << 22


def main() -> int:
    """Takes the files from the archive or folder; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--archive", type=Path, help="wmt16_en_de.tar.gz")
    source.add_argument("--folder", type=Path, help="where it has been unpacked")
    source.add_argument("--binarised", type=Path, help="where fairseq-preprocess has binarised it")
    parser.add_argument(
        "--lines", type=int, nargs=3, required=True, metavar="N", help="pairs of train, newstest2013, newstest2014"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    expected = dict(zip((TRAIN, VALID, TEST, REFERENCE), [*arguments.lines, arguments.lines[-1]], strict=True))
    lines = {f"{name}.{language}": count for name, count in expected.items() for language in LANGUAGES}
    try:
        with folder_beside(arguments.output) as beside:
            if arguments.binarised:
                link_binarised(arguments.binarised, arguments.lines, beside)
            elif arguments.archive:
                unpack(arguments.archive, {*lines, CODES}, beside)
            else:
                link(arguments.folder, {*lines, CODES}, beside)
            if not arguments.binarised:
                check(beside, lines)
    except (BridgeError, OSError) as error:
        print(f"wmt16_en_de: {error}", file=sys.stderr)
        return 2
    return 0


def unpack(archive: Path, names: set[str], folder: Path) -> None:
    """Unpacks the named files, wherever in the archive they are.

    Raises:
        BridgeError: It is no whole gzipped tar archive, or files are missing in it.
    """
    missing = set(names)
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as members:
                for member in members:
                    name = Path(member.name).name
                    content = members.extractfile(member) if name in missing else None
                    if content is not None:
                        with (folder / name).open("wb") as file:
                            shutil.copyfileobj(content, file, BLOCK)
                        missing.discard(name)
            while stream.read(BLOCK):  # to the end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BridgeError(
            f"{archive}: not a whole .tar.gz archive ({error}); remove it to download it again, or set DATA"
        ) from error
    if missing:
        raise BridgeError(f"{archive}: has no {', '.join(sorted(missing))}: this is another corpus")


def link(source: Path, names: set[str], folder: Path) -> None:
    """Links the named files of a folder.

    Raises:
        BridgeError: Files are missing there.
    """
    if not source.is_dir():
        raise BridgeError(f"DATA={source}: no such folder")
    missing = sorted(name for name in names if not (source / name).is_file())
    if missing:
        raise BridgeError(f"DATA={source}: has no {', '.join(missing)}")
    for name in names:
        (folder / name).symlink_to((source / name).resolve())


def link_binarised(source: Path, pairs: list[int], folder: Path) -> None:
    """Links what training, probing and scoring read of a binarised copy, the BPE codes as `codes`.

    Args:
        source: The `--destdir` of fairseq-preprocess, with the BPE codes and the plain reference beside.
        pairs: How many train, valid and test have; train may have a few others (TOLERANCE).
        folder: Where the links go.

    Raises:
        BridgeError: Files are missing, two dictionaries, or other numbers of pairs.
    """
    dictionaries = [f"dict.{language}.txt" for language in LANGUAGES]
    splits = [f"{split}.en-de.{language}" for split in ("train", "valid", "test") for language in LANGUAGES]
    files = [*dictionaries, *(f"{split}.{kind}" for split in splits for kind in ("bin", "idx"))]
    link(source, {*files, CODES, f"{REFERENCE}.de"}, folder)
    (folder / CODES).rename(folder / "codes")
    check_codes(folder / "codes", CODES)
    if (folder / dictionaries[0]).read_bytes() != (folder / dictionaries[1]).read_bytes():
        raise BridgeError(f"DATA={source}: {' and '.join(dictionaries)} differ: binarise with --joined-dictionary")
    from fairseq.data.data_utils import load_indexed_dataset

    for split, expected in zip(splits, [count for count in pairs for _ in LANGUAGES], strict=True):
        found = len(load_indexed_dataset(str(folder / split), None))
        if abs(found - expected) > (TOLERANCE * expected if split.startswith("train") else 0):
            raise BridgeError(f"DATA={source}: {split} has {found} sentences, not {expected}: another corpus")


def check(folder: Path, lines: dict[str, int]) -> None:
    """Checks that every file has its lines and that the BPE codes are codes.

    Raises:
        BridgeError: The first file that is wrong.
    """
    for name, expected in sorted(lines.items()):
        found = count_lines(folder / name)
        if found != expected:
            raise BridgeError(f"{name} has {found} lines, not {expected}: half a file, or another corpus")
    check_codes(folder / CODES, CODES)


def check_codes(path: Path, name: str) -> None:
    """Checks that BPE codes are codes.

    Raises:
        BridgeError: They are not.
    """
    with path.open("rb") as file:
        first = [file.readline() for _ in range(2)][-1].split()
    if len(first) != 2:
        raise BridgeError(f"{name}: no BPE codes (two symbols a line)")


def count_lines(path: Path) -> int:
    """Number of lines; a last one without its end counts.

    Raises:
        BridgeError: A carriage return inside of a line, where fairseq-preprocess would begin another one.
    """
    count = 0
    with path.open("rb") as file:
        for count, line in enumerate(file, start=1):
            if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
                raise BridgeError(f"{path.name}:{count}: a carriage return inside of a line: take it out")
    return count


if __name__ == "__main__":
    sys.exit(main())
