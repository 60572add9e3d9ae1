"""The open corpora: pairs as plain text, and small copies of the probing corpora for a smoke run.

python data.py pairs --data DATA --output TEXT --pairs train=multi30k/train:29000 valid=multi30k/val:1014 ...
python data.py subset --data DATA --suite suite.yaml --sentences 40 15 15 --documents 2 1 1 --output DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import yaml

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import file_bytes, plain_text

PART = re.compile(r"(train|valid|test\d*)=([^:]+):(\d{1,9})")
LANGUAGES = ("en", "de")
PARTS = ("train", "dev", "test")  # of a probing corpus


@dataclass(frozen=True)
class Size:
    """How much of a corpus is kept: sentences, or documents of one that is in documents."""

    sentences: int
    documents: int


def main() -> int:
    """Makes the text of one of the two kinds; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pairs", "subset"])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--pairs", nargs="+", metavar="SPLIT=PREFIX:N", help="pairs: the first N of two files of DATA")
    parser.add_argument("--suite", type=Path, help="subset: the suite file whose corpora are cut")
    parser.add_argument("--sentences", type=int, nargs=3, metavar="N", help="subset: how many of train, dev, test")
    parser.add_argument("--documents", type=int, nargs=3, metavar="N", help="subset: of what is in documents")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    if arguments.what == "subset" and None in (arguments.suite, arguments.sentences, arguments.documents):
        parser.error("subset: give --suite, --sentences and --documents")
    try:
        if not arguments.data.is_dir():
            raise BridgeError(f"DATA={arguments.data}: no such folder; README.md of the recipe says what belongs there")
        with folder_beside(arguments.output) as beside:
            if arguments.what == "pairs":
                write_pairs(arguments.data, arguments.pairs or [], beside)
            else:
                sizes = zip(PARTS, arguments.sentences, arguments.documents, strict=True)
                write_subset(arguments.data, arguments.suite, {part: Size(*size) for part, *size in sizes}, beside)
    except (BridgeError, OSError, EOFError, UnicodeDecodeError) as error:
        print(f"open_en_de: {error}", file=sys.stderr)
        return 2
    return 0


def write_pairs(data: Path, parts: list[str], folder: Path) -> None:
    """Writes the pairs of every split: those of its parts, one after the other.

    Raises:
        BridgeError: A part that is none, a split without any, or a file that is missing or shorter.
    """
    splits: dict[str, list[tuple[str, int]]] = {}
    for part in parts:
        if (found := PART.fullmatch(part)) is None:
            raise BridgeError(f"PAIRS has {part!r}: give SPLIT=PREFIX:N, as in train=multi30k/train:29000")
        splits.setdefault(found[1], []).append((found[2], int(found[3])))
    if missing := [split for split in ("train", "valid", "test") if split not in splits]:
        raise BridgeError(f"PAIRS has nothing for {' and '.join(missing)}")
    for split, sources in splits.items():
        for language in LANGUAGES:
            lines = [line for prefix, count in sources for line in first_lines(data, f"{prefix}.{language}.gz", count)]
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def first_lines(data: Path, name: str, count: int) -> list[str]:
    """The first lines of a file.

    Raises:
        BridgeError: It is missing or shorter.
    """
    found = list(islice(read(data / name).removesuffix("\n").split("\n"), count))
    if len(found) < count:
        raise BridgeError(f"{data / name} has {len(found)} lines, not {count}: half a file?")
    return found


def write_subset(data: Path, suite: Path, sizes: dict[str, Size], folder: Path) -> None:
    """Writes the first sentences or documents of every file of the suite, under the same name.

    Raises:
        BridgeError: A file is missing.
    """
    for entry in yaml.safe_load(suite.read_text(encoding="utf-8"))["tasks"].values():
        for split in PARTS:
            target = folder / entry[split]
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                content = cut(read(data / entry[split]), sizes[split], Path(entry[split]))
                packed = content.encode()
                target.write_bytes(gzip.compress(packed, mtime=0) if target.suffix == ".gz" else packed)


def cut(text: str, size: Size, path: Path) -> str:
    """The first sentences, trees, objects or documents of a corpus."""
    name, count = path.name.removesuffix(".gz"), size.sentences
    if name.endswith(".json"):
        found = json.loads(text)
        return json.dumps(dict(islice(found.items(), count)) if isinstance(found, dict) else found[: 4 * count])
    if name.endswith(".ptb"):
        return "".join(text.splitlines(keepends=True)[:count])
    if name.endswith("_conll"):
        return "".join(re.findall(r"(?s)#begin document.*?#end document[^\n]*\n", text)[: size.documents])
    return "\n\n".join(re.split(r"\n\n+", text)[: 4 * count if "streusle" in name else count]) + "\n\n"


def read(path: Path) -> str:
    """A text file, packed or not."""
    if not path.is_file():
        raise BridgeError(f"{path}: no such file; README.md of the recipe says what belongs into DATA")
    return plain_text(file_bytes(path), path)


if __name__ == "__main__":
    sys.exit(main())
