"""The open corpora: Multi30k's pairs as plain text, and small copies of the probing corpora for a smoke run.

python data.py pairs --data DATA --lines 29000 1014 1000 --output TEXT
python data.py subset --data DATA --suite suite.yaml --output DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from itertools import islice
from pathlib import Path

import yaml

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import file_bytes, plain_text

SPLITS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
LANGUAGES = ("en", "de")
SENTENCES = {"train": 40, "dev": 15, "test": 15}  # of a subset
DOCUMENTS = {"train": 2, "dev": 1, "test": 1}


def main() -> int:
    """Makes the text of one of the two kinds; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pairs", "subset"])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--lines", type=int, nargs=3, metavar="N", help="pairs: how many of train, valid, test")
    parser.add_argument("--suite", type=Path, help="subset: the suite file whose corpora are cut")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    needed = {"pairs": "lines", "subset": "suite"}[arguments.what]
    if getattr(arguments, needed) is None:
        parser.error(f"{arguments.what}: give --{needed}")
    try:
        if not arguments.data.is_dir():
            raise BridgeError(f"DATA={arguments.data}: no such folder; README.md of the recipe says what belongs there")
        with folder_beside(arguments.output) as beside:
            if arguments.what == "pairs":
                write_pairs(arguments.data / "multi30k", dict(zip(SPLITS, arguments.lines, strict=True)), beside)
            else:
                write_subset(arguments.data, arguments.suite, beside)
    except (BridgeError, OSError, EOFError, UnicodeDecodeError) as error:
        print(f"open_en_de: {error}", file=sys.stderr)
        return 2
    return 0


def write_pairs(source: Path, lines: dict[str, int], folder: Path) -> None:
    """Unpacks the first `lines` pairs of every split.

    Raises:
        BridgeError: A file is missing or shorter.
    """
    for split, name in SPLITS.items():
        for language in LANGUAGES:
            found = list(islice(read(source / f"{name}.{language}.gz").removesuffix("\n").split("\n"), lines[split]))
            if len(found) < lines[split]:
                raise BridgeError(
                    f"{source / name}.{language}.gz has {len(found)} lines, not {lines[split]}: half a file?"
                )
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in found), encoding="utf-8")


def write_subset(data: Path, suite: Path, folder: Path) -> None:
    """Writes the first sentences or documents of every file of the suite, under the same name.

    Raises:
        BridgeError: A file is missing.
    """
    for entry in yaml.safe_load(suite.read_text(encoding="utf-8"))["tasks"].values():
        for split in SENTENCES:
            target = folder / entry[split]
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                content = cut(read(data / entry[split]), split, Path(entry[split]))
                packed = content.encode()
                target.write_bytes(gzip.compress(packed, mtime=0) if target.suffix == ".gz" else packed)


def cut(text: str, split: str, path: Path) -> str:
    """The first sentences, trees, objects or documents of a corpus."""
    name, count = path.name.removesuffix(".gz"), SENTENCES[split]
    if name.endswith(".json"):
        found = json.loads(text)
        return json.dumps(dict(islice(found.items(), count)) if isinstance(found, dict) else found[: 4 * count])
    if name.endswith(".ptb"):
        return "".join(text.splitlines(keepends=True)[:count])
    if name.endswith("_conll"):
        return "".join(re.findall(r"(?s)#begin document.*?#end document[^\n]*\n", text)[: DOCUMENTS[split]])
    return "\n\n".join(re.split(r"\n\n+", text)[: 4 * count if "streusle" in name else count]) + "\n\n"


def read(path: Path) -> str:
    """A text file, packed or not."""
    if not path.is_file():
        raise BridgeError(f"{path}: no such file; README.md of the recipe says what belongs into DATA")
    return plain_text(file_bytes(path), path)


if __name__ == "__main__":
    sys.exit(main())
