"""UDS It-Happened (Rudinger et al. 2018): its table of judgements to Liu et al.'s JSON.

The label of a predicate is the mean over its annotators of 3/4 of their confidence (0 to 4), negative where they say
that it did not happen: from -3 to 3. Judgements that the table itself does not keep, and those without an answer, do
not count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from probing_bridge.corpora.readers.source import Source, read_source
from probing_bridge.errors import BridgeError

COLUMNS = ("Sentence.ID", "Pred.Token", "Happened", "Confidence")
KEEP = "Keep"
SIGNS = {"true": 1.0, "yes": 1.0, "false": -1.0, "no": -1.0}
NO_ANSWER = {"na", "nan", ""}

Judgements = dict[int, dict[int, list[float]]]  # sentence -> predicate (both from 1) -> labels


def sentences(inputs: Sequence[Path]) -> Iterator[str]:
    """The sentences of one file of UD English-EWT 1.2 that have a judged predicate.

    Args:
        inputs: `it-happened_eng_ud1.2_07092017.tsv`, and a split's `en-ud-*.conllu`, named as in the table.

    Yields:
        An entry of the JSON object for each.

    Raises:
        BridgeError: Not two files, columns that are missing, a judgement of another kind, a predicate that is not in
            its sentence, or no judgement of that file.
    """
    if len(inputs) != 2:
        raise BridgeError(
            "give two files: the table it-happened_*.tsv and a split of UD English-EWT 1.2 (en-ud-*.conllu)"
        )
    table = read_source(inputs[0], "it-happened")
    name = inputs[1].name.removesuffix(".gz")
    judged = _judgements(table, name)
    if not judged:
        raise table.fault(f"has no judgement of {name}")
    words = _sentences(read_source(inputs[1], "conllu"))
    for number, labels in sorted(judged.items()):
        if number > len(words) or max(labels) > len(words[number - 1]):
            raise table.fault(f"{name} {number} has no word {max(labels)}: give version 1.2 of the treebank")
        means = [sum(labels[place]) / len(labels[place]) for place in sorted(labels)]
        entry = {"sentence": words[number - 1], "predicate_indices": sorted(labels), "labels": means}
        yield f"{json.dumps(f'{name} {number}')}: {json.dumps(entry, ensure_ascii=False)}"


def _judgements(table: Source, name: str) -> Judgements:
    """What the table keeps of a file."""
    lines = table.lines()
    header = lines[0].split("\t")
    if missing := [column for column in COLUMNS if column not in header]:
        raise table.fault(f"has no column {', '.join(missing)}", 1)
    judged: Judgements = defaultdict(lambda: defaultdict(list))
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        row = line.split("\t")
        if len(row) != len(header):
            raise table.fault(f"expected {len(header)} columns, found {len(row)}", number)
        cells = dict(zip(header, row, strict=True))
        file, _, sentence = cells["Sentence.ID"].rpartition(" ")
        answers = [cells[column].lower() for column in ("Happened", "Confidence")]
        if file != name or cells.get(KEEP, "true").lower() != "true" or NO_ANSWER.intersection(answers):
            continue
        happened, confidence = answers
        if happened not in SIGNS or confidence not in {"0", "1", "2", "3", "4"}:
            raise table.fault(f"expected true or false and a confidence from 0 to 4, found {answers}", number)
        if not (
            sentence.isdecimal() and cells["Pred.Token"].isdecimal() and int(sentence) and int(cells["Pred.Token"])
        ):
            raise table.fault("expected numbers from 1 in Sentence.ID and Pred.Token", number)
        judged[int(sentence)][int(cells["Pred.Token"])].append(SIGNS[happened] * 0.75 * int(confidence))
    return judged


def _sentences(source: Source) -> list[list[str]]:
    """The words of each sentence."""
    found = []
    for block in source.blocks(comments=True):
        rows = [(number, line.split("\t")) for number, line in block]
        for number, row in rows:
            if len(row) != 10:
                raise source.fault(f"expected ten columns with tabs between, found {len(row)}", number)
        found.append([row[1] for _, row in rows if row[0].isdecimal()])
    return found
