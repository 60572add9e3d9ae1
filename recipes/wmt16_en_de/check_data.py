"""Tells file by file what is missing or wrong in the corpora of the probing tasks.

    python check_data.py --suite suite.yaml --corpora DIR

Each file is read by the project's own readers, as probing will read it: `ok`, `missing`, `wrong` with the reason, or
`odd` where it can be read but has another size than is published. Exit status 1 if a file is missing or
wrong, 2 for bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from probing_bridge.corpora.suite import SPLITS
from probing_bridge.corpora.tasks import read_instances
from probing_bridge.errors import BridgeError

# Sentences of the released corpora as the literature counts them. Preprocessing differs a little, so other sizes are
# only noted.
PUBLISHED = {
    "ptb/wsj.train.trees": 39832,
    "ptb/wsj.dev.trees": 1700,
    "ptb/wsj.test.trees": 2416,
    "ccgbank/train.auto": 39604,
    "ccgbank/dev.auto": 1913,
    "ccgbank/test.auto": 2407,
    "conll2000/train.txt": 8936,
    "conll2000/test.txt": 2012,
    "conll2003/eng.train": 14041,
    "conll2003/eng.testa": 3250,
    "conll2003/eng.testb": 3453,
    "fce/fce-public.train.tsv": 28731,
    "fce/fce-public.dev.tsv": 2222,
    "fce/fce-public.test.tsv": 2720,
}
TOLERANCE = 0.01


@dataclass
class File:
    """One file of the suite.

    Attributes:
        name: Its path below the folder of the corpora.
        uses: The (task, format) that it is read for.
    """

    name: str
    uses: list[tuple[str, str | None]] = field(default_factory=list)


def main() -> int:
    """Prints a line a file and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, required=True, help="the suite file")
    parser.add_argument("--corpora", type=Path, required=True, help="folder that its paths start from")
    arguments = parser.parse_args()
    for path, there in ((arguments.suite, Path.is_file), (arguments.corpora, Path.is_dir)):
        if not there(path):
            print(f"check_data: {path}: no such suite or folder (CORPORA)", file=sys.stderr)
            return 2
    files = files_of(arguments.suite)
    twins = same_content(arguments.corpora, files)
    counts: Counter[str] = Counter()
    for file in files:
        status, text = check(arguments.corpora / file.name, file, twins)
        counts[status] += 1
        print(f"{status:8} {file.name}: {text}", flush=True)
    bad = counts["missing"] + counts["wrong"]
    print(
        f"check_data: {len(files)} files, {counts['missing']} missing, {counts['wrong']} wrong, {counts['odd']} odd"
        + (f"; CORPORA is {arguments.corpora}, README.md says what belongs there" if bad else "")
    )
    return int(bad > 0)


def files_of(suite: Path) -> list[File]:
    """The different files of a suite, in its order."""
    files: dict[str, File] = {}
    for task, entry in yaml.safe_load(suite.read_text(encoding="utf-8"))["tasks"].items():
        for split in SPLITS:
            file = files.setdefault(entry[split], File(entry[split]))
            file.uses.append((task, entry.get("format")))
    return list(files.values())


def same_content(corpora: Path, files: list[File]) -> dict[str, str]:
    """File name -> another file with the same bytes, as happens when one split is copied over another."""
    first: dict[str, str] = {}
    twins = {}
    for file in files:
        path = corpora / file.name
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if digest in first:
                twins[file.name] = first[digest]
            first.setdefault(digest, file.name)
    return twins


def check(path: Path, file: File, twins: dict[str, str]) -> tuple[str, str]:
    """Reads one file for all its tasks.

    Returns:
        `ok`, `missing`, `wrong` or `odd`, and what there is to say.
    """
    tasks = ", ".join(dict.fromkeys(task for task, _ in file.uses))
    if not path.is_file():
        return "missing", f"no such file; needed for {tasks}"
    if file.name in twins:
        return "wrong", f"has the same content as {twins[file.name]}"
    sentences = 0
    for task, format in file.uses:
        try:
            sentences = max(sentences, len(read_instances(task, path, format=format)))
        except BridgeError as error:
            return "wrong", f"{error} (for {task})"
    published = PUBLISHED.get(file.name, sentences)
    if abs(sentences - published) > TOLERANCE * published:
        return "odd", f"{sentences} sentences for {tasks}; {published} are published"
    return "ok", f"{sentences} sentences for {tasks}"


if __name__ == "__main__":
    sys.exit(main())
