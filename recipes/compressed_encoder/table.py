"""What the series lost, by task: a table of the dense model, one of the levels, and a picture of all three scores.

python table.py --results RESULTS --output DIR     RESULTS has a folder of results for each score
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from probing_bridge.formats.files import written_beside
from probing_bridge.formats.tables import read_table
from probing_bridge.results.naming import task_label, task_order

EMBEDDINGS = "0"
BASELINE = "word_majority"  # the most frequent label of a word in the training set


def main() -> None:
    """Writes the two tables and the picture, and says how many tasks gain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    places = sorted(arguments.results.glob("*/probes.csv"))
    scores = {place.parent.name: read_table(place, "probes") for place in places}
    best = pd.concat([best_layers(frame).assign(by=name) for name, frame in scores.items()], ignore_index=True)
    dense = dense_table(next(iter(scores.values())))
    write(arguments.output / "dense.md", markdown(dense))
    write(arguments.output / "levels.md", markdown(levels_table(best)))
    draw(best, dense, arguments.output / "tasks.svg")
    print(f"contextual gain above zero: {int((dense['gain'] > 0).sum())} of {len(dense)} tasks")


def best_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """The best layer's score of each level and task: columns level, sparsity, task, score."""
    linear = frame[(frame["probe"] == "linear") & frame["layer"].str.isdecimal()]
    return linear.groupby(["level", "sparsity", "task"])["score"].max().reset_index()


def dense_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Of the dense model, a row a task: its best layer, layer 0, the gain over that, the majority of the word."""
    dense = frame[(frame["level"] == 0) & (frame["probe"] == "linear")]
    majority = frame[frame["probe"] == BASELINE].drop_duplicates("task").set_index("task")["score"]
    rows = []
    for task in task_order(dense["task"].unique().tolist()):
        rows_of_task = dense[dense["task"] == task]
        own = dict(zip(rows_of_task["layer"], rows_of_task["score"], strict=True))
        best = max((layer for layer in own if layer != EMBEDDINGS), key=lambda layer: own[layer])
        row = (task_label(task), best, own[best], own[EMBEDDINGS], own[best] - own[EMBEDDINGS])
        rows.append((*row, majority.get(task, float("nan"))))
    return pd.DataFrame(rows, columns=["task", "best layer", "score", "layer 0", "gain", "majority of the word"])


def levels_table(best: pd.DataFrame) -> pd.DataFrame:
    """Each level's mean over the tasks by how it was pruned, and its parts of speech."""
    mean = best.groupby(["level", "by"])["score"].mean().unstack()
    pos = best[best["task"] == "pos"].set_index(["level", "by"])["score"].unstack().add_suffix(", POS")
    sparsity = best.groupby("level")["sparsity"].first().rename("sparsity")
    return pd.concat([sparsity, mean, pos], axis=1).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, numbers with three digits."""
    cells = [list(table.columns), ["---"] * len(table.columns)]
    for row in table.itertuples(index=False):
        cells.append([f"{value:.3f}" if isinstance(value, float) else str(value) for value in row])
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def write(path: Path, text: str) -> None:
    """Writes a text whole."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def draw(best: pd.DataFrame, dense: pd.DataFrame, path: Path) -> None:
    """A panel a task: the best layer's score over the sparsity, a line for each way of pruning; dashes: majority."""
    mpl.use("svg")
    from matplotlib import pyplot

    tasks = task_order(best["task"].unique().tolist())
    majority = dense.set_index("task")["majority of the word"]
    figure, grid = pyplot.subplots(3, 6, figsize=(11, 5), sharex=True, layout="constrained")
    for axes, task in zip(grid.flat, tasks, strict=False):
        for name, rows in best[best["task"] == task].groupby("by"):
            axes.plot(rows["sparsity"], rows["score"], marker=".", label=name)
        axes.axhline(majority[task_label(task)], color="grey", linestyle="--", linewidth=0.8)
        axes.set_title(task_label(task), fontsize=9)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.supxlabel("share of all weights that are zero", fontsize=9)
    with written_beside(path) as beside:
        figure.savefig(beside, metadata={"Date": None})


if __name__ == "__main__":
    main()
