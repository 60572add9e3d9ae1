"""Tells file by file what is missing or wrong in the corpora of the probing tasks.

    python check_data.py --suite suite.yaml --corpora DIR

Each file is read by the project's own readers, as probing will read it: `ok`, `missing`, `wrong` with the reason, or
`odd` where it can be read but has another size than is published. Status 1 if anything is missing or wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from probing_bridge.errors import BridgeError
from probing_bridge.suite import SPLITS
from probing_bridge.tasks import read_instances

# Sentences of a task's train, dev and test data as the literature gives them. Releases differ a little, so other
# sizes are only noted.
PUBLISHED = {
    "ccg": (39604, 1913, 2407),
    "parent": (39832, 1700, 2416),
    "ner": (14041, 3250, 3453),
    "ged": (28731, 2222, 2720),
}
TOLERANCE = 0.01


@dataclass
class File:
    """One file of the suite.

    Attributes:
        name: Its path below the folder of the corpora.
        uses: The (task, split, format) that it is read for.
    """

    name: str
    uses: list[tuple[str, str, str | None]] = field(default_factory=list)


def main() -> int:
    """Prints a line a file and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, required=True, help="the suite file")
    parser.add_argument("--corpora", type=Path, required=True, help="folder that its paths start from")
    arguments = parser.parse_args()
    if not arguments.corpora.is_dir():
        print(f"check_data: CORPORA={arguments.corpora}: no such folder", file=sys.stderr)
        return 1
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
            file.uses.append((task, split, entry.get("format")))
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
    tasks = ", ".join(dict.fromkeys(task for task, _, _ in file.uses))
    if not path.is_file():
        return "missing", f"no such file; needed for {tasks}"
    if file.name in twins:
        return "wrong", f"has the same content as {twins[file.name]}"
    odd, sentences = "", 0
    for task, split, format in file.uses:
        try:
            found = len(read_instances(task, path, format=format))
        except BridgeError as error:
            return "wrong", f"{error} (for {task})"
        sentences = max(sentences, found)
        published = dict(zip(SPLITS, PUBLISHED.get(task, ()), strict=False)).get(split, found)
        if abs(found - published) > TOLERANCE * published:
            odd = f"; {published} are published"
    return ("odd" if odd else "ok"), f"{sentences} sentences for {tasks}{odd}"


if __name__ == "__main__":
    sys.exit(main())
