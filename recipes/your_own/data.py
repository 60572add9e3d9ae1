"""Two text files, one sentence a line, become train/valid/test.LANGUAGE: the data step of a recipe of your own.

    python data.py --corpus PREFIX --languages de en --held-out 200 200 --output TEXT

PREFIX.de and PREFIX.en go line by line; each may be compressed (PREFIX.de.gz). Left out are pairs with an empty side or
more than 500 characters on a side, and those of which one side was there before, so that no sentence is in two splits.
Which pairs are valid and test is drawn by their hash: the same files give the same splits on any machine, in any order.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import plain_lines

MOST_CHARACTERS = 500  # of a side, whether its script has spaces or not

Pair = tuple[str, str]  # source, target


def main() -> int:
    """Writes the three splits and prints their sizes; one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, metavar="PREFIX", help="the files are PREFIX.LANGUAGE")
    parser.add_argument("--languages", nargs=2, required=True, metavar=("SOURCE", "TARGET"), help="as in de en")
    parser.add_argument("--held-out", type=int, nargs=2, required=True, metavar="N", help="pairs of valid and of test")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    try:
        pairs = read_pairs(arguments.corpus, arguments.languages)
        kept = usable(pairs)
        print(f"pairs: {len(pairs)}, of which {len(pairs) - len(kept)} are empty, too long or half repeated")
        splits = split(kept, *arguments.held_out)
        with folder_beside(arguments.output) as folder:
            for name, rows in splits.items():
                for side, language in enumerate(arguments.languages):
                    lines = "".join(f"{row[side]}\n" for row in rows)
                    (folder / f"{name}.{language}").write_text(lines, encoding="utf-8")
    except (BridgeError, OSError) as error:
        print(f"your_own: {error}", file=sys.stderr)
        return 2
    print(", ".join(f"{len(rows)} {name}" for name, rows in splits.items()))
    return 0


def read_pairs(prefix: str, languages: list[str]) -> list[Pair]:
    """Reads the two files.

    Raises:
        BridgeError: A file is missing or no UTF-8, a line has a carriage return inside, or the numbers of lines differ.
    """
    sides = []
    for language in languages:
        plain = Path(f"{prefix}.{language}")
        path = next((path for path in (plain, Path(f"{plain}.gz")) if path.is_file()), None)
        if path is None:
            raise BridgeError(
                f"{plain}: no such file; CORPUS=PREFIX needs PREFIX.{languages[0]} and PREFIX.{languages[1]}"
            )
        sides.append([line.strip() for line in plain_lines(path)])
    if len(sides[0]) != len(sides[1]):
        counts = " and ".join(f"{prefix}.{code} {len(side)}" for code, side in zip(languages, sides, strict=True))
        raise BridgeError(f"the two files must go line by line, and their numbers of lines differ: {counts}")
    return list(zip(*sides, strict=True))


def usable(pairs: list[Pair]) -> list[Pair]:
    """The pairs that are neither empty nor too long on a side, each side only once."""
    seen: tuple[set[str], set[str]] = (set(), set())
    kept = []
    for pair in pairs:
        repeated = any(text in known for text, known in zip(pair, seen, strict=True))
        if all(pair) and max(map(len, pair)) <= MOST_CHARACTERS and not repeated:
            for text, known in zip(pair, seen, strict=True):
                known.add(text)
            kept.append(pair)
    return kept


def split(pairs: list[Pair], valid: int, test: int) -> dict[str, list[Pair]]:
    """Draws `valid` and `test` pairs; the others, in their order, are for training.

    Raises:
        BridgeError: Fewer pairs would be left to train on than are held out, or nothing would be held out.
    """
    if min(valid, test) < 1:
        raise BridgeError(f"HELD_OUT='{valid} {test}': give at least one pair for valid and one for test")
    if len(pairs) < 2 * (valid + test):
        raise BridgeError(f"only {len(pairs)} usable pairs: too few to hold out {valid} + {test} (HELD_OUT) of them")
    drawn = sorted(pairs, key=lambda pair: hashlib.sha256("\t".join(pair).encode()).digest())
    held_out = set(drawn[: valid + test])
    return {
        "train": [pair for pair in pairs if pair not in held_out],
        "valid": drawn[:valid],
        "test": drawn[valid : valid + test],
    }


if __name__ == "__main__":
    sys.exit(main())
