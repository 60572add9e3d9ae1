"""WMT16 English-German from the files that statmt.org publishes, as Google made the corpus of fairseq's recipe.

    python -m recipes.wmt16_en_de.statmt --downloads DIR --lines 4500966 3000 3003 --merges 32000 --jobs 8 --output TEXT

DIR has de-en.tgz (Europarl v7), training-parallel-commoncrawl.tgz, training-parallel-nc-v11.tgz (News Commentary) and
dev.tgz (newstest2013, newstest2014). As in google/seq2seq's wmt16_en_de.sh: the three corpora in this order; Moses
tokens; pairs of 1 to 80 tokens a side, neither more than 9 times as long as the other (Moses' clean-corpus-n.perl);
BPE learnt on both sides together (Sennrich et al. 2016). TEXT has the files of Google's archive that are needed, and
appears when it is whole.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing.pool
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path

from sacremoses import MosesTokenizer
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import raw_lines
from recipes.wmt16_en_de.text import CODES, LANGUAGES, REFERENCE, TEST, TOLERANCE, TRAIN, VALID, check, unpack

TRAINING = {
    "de-en.tgz": "europarl-v7.de-en",
    "training-parallel-commoncrawl.tgz": "commoncrawl.de-en",
    "training-parallel-nc-v11.tgz": "news-commentary-v11.de-en",
}
DEV = "dev.tgz"
VALID_FILES = {language: f"newstest2013.{language}" for language in LANGUAGES}
TEST_FILES = {"en": "newstest2014-deen-ref.en.sgm", "de": "newstest2014-deen-src.de.sgm"}
SEGMENT = re.compile(r"<seg[^>]+>\s*(.*?)\s*</seg>", re.IGNORECASE | re.DOTALL)
MOST_WORDS, MOST_TIMES, MOST_CHARACTERS = 80, 9, 1000
CHUNK = 2000  # pairs that a process takes at a time

Pair = tuple[str, str]  # English, German


def main() -> int:
    """Makes the corpus; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, required=True, help="folder with the four files")
    parser.add_argument(
        "--lines",
        type=int,
        nargs=3,
        required=True,
        metavar="N",
        help="pairs of train (about), newstest2013, newstest2014",
    )
    parser.add_argument("--merges", type=int, required=True, help="merge operations of the BPE")
    parser.add_argument("--jobs", type=int, default=1, help="processes that split text into tokens and subwords")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    try:
        with folder_beside(arguments.output) as beside, multiprocessing.Pool(arguments.jobs) as pool:
            make(arguments.downloads, arguments.lines, arguments.merges, Spread(pool, arguments.jobs), beside)
    except (BridgeError, OSError) as error:
        print(f"statmt: {error}", file=sys.stderr)
        return 2
    return 0


class Spread:
    """Work on pairs by several processes, in order, with no more in memory than they need."""

    def __init__(self, pool: multiprocessing.pool.Pool, jobs: int) -> None:
        """Keeps the processes."""
        self._pool, self._jobs = pool, jobs

    def over(self, work: Callable[[list[Pair]], list[Pair]], pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The results of `work` on chunks of the pairs, joined."""
        rest = iter(pairs)
        chunks = iter(lambda: list(islice(rest, CHUNK)), [])
        while block := list(islice(chunks, 4 * self._jobs)):
            yield from chain.from_iterable(self._pool.map(work, block, chunksize=1))


def make(downloads: Path, lines: list[int], merges: int, spread: Spread, folder: Path) -> None:
    """Fills the folder.

    Args:
        downloads: Where the four files are.
        lines: Pairs that are expected: about as many of train, exactly of newstest2013 and newstest2014.
        merges: Merge operations of the BPE.
        spread: Who does the work.
        folder: Gets the files of the archive: tokens in subwords, the codes, plain newstest2014.

    Raises:
        BridgeError: A file is missing, damaged, or has another number of lines.
    """
    raw = folder / "raw"
    raw.mkdir()
    for archive, base in TRAINING.items():
        unpack(downloads / archive, {f"{base}.{language}" for language in LANGUAGES}, raw)
    unpack(downloads / DEV, {*VALID_FILES.values(), *TEST_FILES.values()}, raw)
    english, german = (segments(raw / TEST_FILES[language]) for language in LANGUAGES)
    if len(english) != len(german):
        raise BridgeError(f"{DEV}: newstest2014 has {len(english)} English segments and {len(german)} German ones")
    write(zip(english, german, strict=True), folder / REFERENCE)
    valid = parallel(*(raw / VALID_FILES[language] for language in LANGUAGES))
    for name, pairs, count in ((VALID, valid, lines[1]), (TEST, parallel(*sides(folder / REFERENCE)), lines[2])):
        if (found := write(spread.over(tokenised, pairs), raw / name)) != count:
            raise BridgeError(f"{downloads / DEV}: {name.partition('.')[0]} has {found} pairs, not {count}")
    sources = chain.from_iterable(parallel(raw / f"{base}.en", raw / f"{base}.de") for base in TRAINING.values())
    kept = write(spread.over(cleaned, spread.over(tokenised, sources)), raw / TRAIN)
    if abs(kept - lines[0]) > TOLERANCE * lines[0]:
        raise BridgeError(f"{downloads}: {kept} training pairs are left after cleaning, not about {lines[0]}")
    with (folder / CODES).open("w", encoding="utf-8") as codes:  # German first, as in the original
        learn_bpe((line for path in reversed(sides(raw / TRAIN)) for line in raw_lines(path)), codes, merges)
    split = functools.partial(in_subwords, codes=folder / CODES)
    for name in (TRAIN, VALID, TEST):
        write(spread.over(split, parallel(*sides(raw / name))), folder / name)
    shutil.rmtree(raw)
    expected = dict(zip((TRAIN, VALID, TEST, REFERENCE), [kept, *lines[1:], lines[-1]], strict=True))
    check(folder, {f"{name}.{language}": count for name, count in expected.items() for language in LANGUAGES})


def sides(base: Path) -> list[Path]:
    """The English and the German file of a pair of files."""
    return [base.with_name(f"{base.name}.{language}") for language in LANGUAGES]


def parallel(english: Path, german: Path) -> Iterator[Pair]:
    """The pairs of two files.

    Raises:
        BridgeError: One has more lines.
    """
    for left, right in zip_longest(raw_lines(english), raw_lines(german)):
        if left is None or right is None:
            longer = german if left is None else english
            raise BridgeError(f"{longer.name} has more lines than the other language")
        yield left, right


def segments(path: Path) -> list[str]:
    """The segments of an SGML file, entities as they stand (Moses' input-from-sgm.perl)."""
    text = "\n".join(raw_lines(path))
    return [" ".join(segment.split()) for segment in SEGMENT.findall(text)]


def write(pairs: Iterable[Pair], base: Path) -> int:
    """Writes both sides of pairs and counts them."""
    count = 0
    english, german = sides(base)
    with english.open("w", encoding="utf-8") as left, german.open("w", encoding="utf-8") as right:
        for pair in pairs:
            left.write(f"{pair[0]}\n")
            right.write(f"{pair[1]}\n")
            count += 1
    return count


@functools.cache
def _tokenizers() -> list[MosesTokenizer]:
    return [MosesTokenizer(lang=language) for language in LANGUAGES]


def tokenised(pairs: list[Pair]) -> list[Pair]:
    """Moses tokens, hyphens not split, special characters escaped."""
    english, german = _tokenizers()
    return [(english.tokenize(en, return_str=True), german.tokenize(de, return_str=True)) for en, de in pairs]


def cleaned(pairs: list[Pair]) -> list[Pair]:
    """The pairs that clean-corpus-n.perl keeps with 1 80."""
    return [pair for pair in pairs if is_clean(*(side.split() for side in pair))]


def is_clean(english: list[str], german: list[str]) -> bool:
    """Whether both sides have 1 to 80 words, not too long, and neither has more than nine times as many."""
    counts = len(english), len(german)
    return (
        1 <= min(counts) <= max(counts) <= MOST_WORDS
        and max(counts) <= MOST_TIMES * min(counts)
        and all(len(word) <= MOST_CHARACTERS for word in chain(english, german))
    )


@functools.cache
def _bpe(codes: Path) -> BPE:
    with codes.open(encoding="utf-8") as file:
        return BPE(file)


def in_subwords(pairs: list[Pair], codes: Path) -> list[Pair]:
    """The pairs in pieces."""
    bpe = _bpe(codes)
    return [(bpe.process_line(english), bpe.process_line(german)) for english, german in pairs]


if __name__ == "__main__":
    sys.exit(main())
