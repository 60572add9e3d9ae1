"""The sources of a parallel treebank's sentences, and the table of what both sides of a model say of them.

python sides.py sources --data DATA --sentences WORDS.txt --output SOURCES.txt
python sides.py table --results RESULTS --output TABLE     RESULTS has a folder of results for each of SERIES
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from probing_bridge.corpora.tasks import read_instances
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import file_bytes, plain_text
from probing_bridge.report.markdown import to_markdown
from probing_bridge.results.folder import read_results
from probing_bridge.results.naming import task_label, task_order
from probing_bridge.results.probing import probed

PARALLEL = "ud_pud/{}_pud-ud-test.conllu.gz"  # the same sentences in the same order in each language
SERIES = ("encoder", "decoder", "decoder-alone")
COLUMNS = {"layer": "layer", "score": "score", "interval": "gain [95 %]", "word_majority": "majority"}


def main() -> int:
    """Writes the sources or the table; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["sources", "table"])
    parser.add_argument("--data", type=Path, help="sources: folder of the treebanks")
    parser.add_argument("--sentences", type=Path, help="sources: German sentences, one a line")
    parser.add_argument("--results", type=Path, help="table: folder of the series")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        made = sources(arguments.data, arguments.sentences) if arguments.what == "sources" else sides(arguments.results)
        with written_beside(arguments.output) as beside:
            beside.write_text(made, encoding="utf-8")
    except (BridgeError, OSError) as error:
        print(f"both_sides: {error}", file=sys.stderr)
        return 2
    return 0


def sources(data: Path, sentences: Path) -> str:
    """The English sentence of each German one, a line each, empty where it is not known.

    Raises:
        InputError: The parallel treebanks have different numbers of sentences.
    """
    english, german = ([one.tokens for one in read_instances("pos", data / PARALLEL.format(x))] for x in ("en", "de"))
    if len(english) != len(german):
        raise InputError(f"{len(german)} sentences, and {len(english)} in English", data / PARALLEL.format("de"))
    known = dict(zip(german, english, strict=True))
    lines = plain_text(file_bytes(sentences), sentences).removesuffix("\n").split("\n")
    return "".join(" ".join(known.get(tuple(line.split(" ")), ())) + "\n" for line in lines)


def sides(results: Path) -> str:
    """A row a task as Markdown: of each series that has it, the layer of the best development score."""
    series = {name: probed(read_results(results / name), "linear").set_index("task") for name in SERIES}
    tasks = task_order([task for frame in series.values() for task in frame.index])
    table = pd.DataFrame({"task": [task_label(task) for task in tasks]})
    for name, frame in series.items():
        frame["interval"] = [f"{row.gain:.3f} [{row.gain_low:.3f}, {row.gain_high:.3f}]" for row in frame.itertuples()]
        for column, title in COLUMNS.items():
            table[f"{name} {title}"] = frame[column].reindex(tasks).map(shown).tolist()
    return to_markdown(table)


def shown(value: str | float) -> str:
    """A layer's name, or a number with three digits; a dash for nothing."""
    return value if isinstance(value, str) else "–" if pd.isna(value) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
