"""CoNLL-2012 (OntoNotes): coreference arcs between mentions of one word (Liu et al. 2019, task list of their code).

A document is one instance. Where no `#begin document` line marks it, it ends where the document or the part (columns 1
and 2) changes. Pairs of a cluster that are spelt differently are arcs (label 1); after each, a mention of
another cluster that comes before the child is drawn as a pair that is none (label 0). Clusters and mentions are in
the order of the text; the original's order is that of Python's hash tables and differs between Python versions, so
of its negatives only the children are the same. By default the drawn mention is spelt differently too, as the task is
described; the code of the original, coreference_arc_prediction.py, does not check that (compat).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from probing_bridge.corpora.instances import Instance, Pair
from probing_bridge.corpora.readers.formats import columns_of
from probing_bridge.corpora.readers.source import Source

PART, NUMBER, WORD = 1, 2, 3
MIN_COLUMNS = 12
ESCAPED = {"/.": ".", "/?": "?"}
Row = tuple[int, list[str]]  # (line number, columns)
MENTION = re.compile(r"(\(?)(\d+)(\)?)", re.ASCII)


@dataclass
class Document:
    """A document part: its words and the spans (first, last word) of each cluster.

    Attributes:
        place: Its name and part (columns 1 and 2); empty before the first word.
        is_marked: Whether a `#begin document` line begins it.
    """

    place: tuple[str, ...] = ()
    is_marked: bool = False
    tokens: list[str] = field(default_factory=list)
    clusters: dict[int, list[Pair]] = field(default_factory=dict)
    sentence_starts: list[int] = field(default_factory=list)


def read_coreference(source: Source) -> Iterator[Instance]:
    """Coreference arcs (later mention, earlier mention) and drawn pairs.

    Args:
        source: A CoNLL-2012 file.

    Yields:
        The documents in which at least two clusters have mentions of one word with two spellings.

    Raises:
        InputError: Too few columns, words not numbered 0, 1, ..., mentions that open or close alone, a document without
            an end, withheld words, or no pair in the whole file.
    """
    rng = random.Random(0)
    n_documents = n_mentions = n_words = n_pairs = 0
    for document in read_documents(source):
        clusters = _single_words(_merge(document.clusters))
        n_documents += 1
        n_mentions += sum(map(len, document.clusters.values()))
        n_words += sum(map(len, clusters))
        spellings = [{document.tokens[mention] for mention in cluster} for cluster in clusters]
        if sum(len(words) >= 2 for words in spellings) >= 2:
            pairs, labels = _pairs(document.tokens, clusters, rng, differ=not source.compat)
            yield Instance(tuple(document.tokens), labels, pairs, tuple(document.sentence_starts))
            n_pairs += len(pairs)
    if not n_pairs:
        reason = "two clusters with mentions of one word in two spellings are needed in a document"
        if not n_mentions:
            reason = "the last column is - in every line"
        found = f"{n_documents} documents with {n_mentions} mentions, {n_words} of one word"
        raise source.nothing(f"{reason} ({found})")


def read_documents(source: Source) -> Iterator[Document]:
    """The documents of a file."""
    document = Document()
    for rows, number, line in _sentences(source):
        if rows and document.tokens and _place(rows[0][1]) != document.place and not source.compat:
            if document.is_marked:
                message = f"another document or part (columns 1 and 2) inside of {' part '.join(document.place)}"
                raise source.fault(f"{message}; `#end document` is missing before", rows[0][0])
            yield document
            document = Document()
        _add_sentence(source, document, rows)
        if line.startswith("#begin document"):
            if document.tokens and not source.compat:
                raise source.fault("a document begins before `#end document` of the one before", number)
            document.is_marked = True
        if line.startswith("#end document"):
            yield document
            document = Document()
    if document.tokens:
        yield document


def _sentences(source: Source) -> Iterator[tuple[list[Row], int, str]]:
    """Runs of rows, perhaps empty, each with the number and text of the line behind them."""
    # The original also ends lines at separators that only Unicode knows, and columns at any white space.
    lines = source.text.splitlines() if source.compat else source.lines()
    rows: list[Row] = []
    for number, whole in enumerate(lines, 1):
        line = whole.strip() if source.compat else whole.strip(" \t")
        if line and not line.startswith("#"):
            row = line.split() if source.compat else columns_of(line)
            _check(source, row, number, rows)
            rows.append((number, row))
            continue
        yield rows, number, line
        rows = []
    if not source.compat:  # the original loses a last sentence that no line follows
        yield rows, len(lines), ""


def _place(row: list[str]) -> tuple[str, ...]:
    """The document and its part."""
    return row[0], row[PART]


def _check(source: Source, row: list[str], number: int, before: list[Row]) -> None:
    """Faults of a row by itself, and behind those before it in its sentence."""
    if len(row) < MIN_COLUMNS:
        raise source.fault(f"expected at least {MIN_COLUMNS} columns with blanks between, found {len(row)}", number)
    if source.compat:
        return
    if not (row[PART].isdigit() and row[NUMBER].isdigit()):
        raise source.fault("expected the part and the word's number in columns 2 and 3", number)
    if row[NUMBER] != str(len(before)):
        message = f"expected word number {len(before)} in column 3, found {row[NUMBER]}"
        raise source.fault(f"{message}; a blank line divides sentences, and each begins with word 0", number)
    if before and _place(row) != _place(before[0][1]):
        raise source.fault("another document or part (columns 1 and 2) inside of a sentence", number)


def _add_sentence(source: Source, document: Document, rows: list[Row]) -> None:
    """Adds the words of a sentence and the mentions that they open and close."""
    first = len(document.tokens)
    if rows:
        document.place = _place(rows[0][1])
        document.sentence_starts.append(first)
        document.tokens += source.words([ESCAPED.get(row[WORD], row[WORD]) for _, row in rows], rows[0][0])
    opened: dict[int, list[tuple[int, int]]] = {}  # cluster -> (first word, line) of mentions not yet closed
    for position, (number, row) in enumerate(rows, first):
        for part in row[-1].split("|") if row[-1] != "-" else ():
            mention = MENTION.fullmatch(part)
            if mention is None or not (mention[1] or mention[3]) or len(mention[2]) > 9:
                raise source.fault(
                    f"expected coreference as -, (7), (7 or 7) in the last column, found {part!r}", number
                )
            cluster = int(mention[2])
            if mention[1]:
                opened.setdefault(cluster, []).append((position, number))
            if mention[3]:
                if not opened.get(cluster):
                    raise source.fault(f"mention {part!r} closes but was not opened in this sentence", number)
                document.clusters.setdefault(cluster, []).append((opened[cluster].pop()[0], position))
    if not source.compat and (left := [place for places in opened.values() for place in places]):
        raise source.fault("a mention opens but is not closed in this sentence", left[0][1])


def _merge(clusters: dict[int, list[Pair]]) -> list[set[Pair]]:
    """Clusters that share a span become one: each joins the first one that has one of its spans."""
    merged: list[set[Pair]] = []
    owner: dict[Pair, int] = {}  # span -> the number of the first cluster that has it
    for spans in clusters.values():
        into = next((owner[span] for span in spans if span in owner), len(merged))
        if into == len(merged):
            merged.append(set())
        merged[into].update(spans)
        for span in spans:
            owner[span] = min(into, owner.get(span, into))
    return merged


def _single_words(clusters: list[set[Pair]]) -> list[list[int]]:
    """The mentions of one word, in the order of the text; clusters without any are left out."""
    kept = [sorted(first for first, last in cluster if first == last) for cluster in clusters]
    return sorted(cluster for cluster in kept if cluster)


def _pairs(
    tokens: list[str], clusters: list[list[int]], rng: random.Random, *, differ: bool
) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """All arcs, each with a drawn pair behind it if there is one.

    Args:
        tokens: The words of the document.
        clusters: The mentions of each cluster, ascending.
        rng: The generator of the file.
        differ: Whether the drawn mention must be spelt differently from the child.

    Returns:
        (child, parent) pairs and their labels.
    """
    mentions = sorted((mention, number) for number, cluster in enumerate(clusters) for mention in cluster)
    pairs: list[Pair] = []
    labels: list[str] = []
    for number, cluster in enumerate(clusters):
        for rank, child in enumerate(cluster):
            others: list[int] | None = None
            for parent in cluster[:rank]:
                if tokens[parent] == tokens[child]:
                    continue
                pairs.append((child, parent))
                labels.append("1")
                if others is None:
                    others = [
                        mention
                        for mention, owner in mentions
                        if mention < child and owner != number and not (differ and tokens[mention] == tokens[child])
                    ]
                if others:
                    pairs.append((child, rng.choice(others)))
                    labels.append("0")
    return tuple(pairs), tuple(labels)
