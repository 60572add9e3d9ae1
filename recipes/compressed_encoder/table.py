"""What the series lost, by task: a table of the dense model, one of the levels, and a picture of all three scores.

python table.py --results RESULTS --output DIR     RESULTS has a folder of results for each score
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from probing_bridge.formats.files import written_beside
from probing_bridge.probes.measures import GAIN, side_metrics
from probing_bridge.report.markdown import to_markdown
from probing_bridge.results.chosen import chosen_layer
from probing_bridge.results.folder import read_results
from probing_bridge.results.naming import task_label, task_order
from probing_bridge.results.probing import probe_scores

WORDS = "word_majority"  # the most frequent label of a word in the training set
DENSE = {
    "layer": "layer", "score": "score", "gain": "contextual gain", "interval": "95 %", WORDS: "majority of the word",
}  # fmt: skip


def main() -> None:
    """Writes the two tables and the picture, and says how many tasks gain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    scores = at_dense_layers([read_series(path.parent) for path in sorted(arguments.results.glob("*/probes.csv"))])
    dense = scores[(scores["level"] == 0) & (scores["by"] == scores["by"].iloc[0])]
    named = dense.assign(
        task=dense["task"].map(task_label),
        interval=[f"[{low:.3f}, {high:.3f}]" for low, high in zip(dense["low"], dense["high"], strict=True)],
    )
    write(arguments.output / "dense.md", markdown(named[["task", *DENSE]].rename(columns=DENSE)))
    write(arguments.output / "levels.md", markdown(levels_table(scores)))
    draw(scores, arguments.output / "tasks.svg")
    above, whole = int((dense["gain"] > 0).sum()), int((dense["low"] > 0).sum())
    print(f"contextual gain above zero: {above} of {len(dense)} tasks, {whole} with all of its interval")


def read_series(place: Path) -> pd.DataFrame:
    """Every task, level and layer by linear probes: score, gain with its interval, majority of the word.

    The folder's name is `by`.
    """
    results = read_results(place)
    scores, gains = probe_scores(results, "linear"), probe_scores(results, "linear", GAIN)
    scores = scores.drop(columns=["low", "high"])  # of the gain from here on
    gains = gains[["task", "level", "layer", "score", "low", "high"]].rename(columns={"score": "gain"})
    baseline = results["probes"][results["probes"]["probe"] == WORDS]
    words = baseline[~baseline["metric"].isin(side_metrics())].groupby("task")["score"].mean().rename(WORDS)
    return scores.merge(gains, how="left").join(words, on="task").assign(by=place.name)


def at_dense_layers(series: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of one layer a task, at all levels: that of the dense model's best development score."""
    dense = series[0][series[0]["level"] == 0]
    layers = chosen_layer(dense, ["task"]).set_index("task")["layer"]
    scores = pd.concat(series, ignore_index=True)
    scores = scores[scores["layer"] == scores["task"].map(layers)]
    order = {task: rank for rank, task in enumerate(task_order(list(layers.index)))}
    return scores.sort_values("task", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def levels_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Each level's mean over the tasks by how it was pruned, its parts of speech, and how many tasks still gain."""
    mean = scores.groupby(["level", "by"])["score"].mean().unstack()
    gaining = (
        (scores["low"] > 0).groupby([scores["level"], scores["by"]]).sum().unstack().add_suffix(", tasks that gain")
    )
    pos = scores[scores["task"] == "pos"].set_index(["level", "by"])["score"].unstack().add_suffix(", POS")
    sparsity = scores.groupby("level")["sparsity"].first().rename("sparsity")
    return pd.concat([sparsity, mean, pos, gaining], axis=1).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, numbers with three digits."""
    return to_markdown(table.map(lambda value: f"{value:.3f}" if isinstance(value, float) else str(value)))


def write(path: Path, text: str) -> None:
    """Writes a text whole."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def draw(scores: pd.DataFrame, path: Path) -> None:
    """A panel a task: the score over the sparsity, a line for each way of pruning; dashes: the majority of the word."""
    mpl.use("svg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(3, 6, figsize=(11, 5), sharex=True, layout="constrained")
    for axes, task in zip(grid.flat, scores["task"].unique(), strict=False):
        own = scores[scores["task"] == task]
        for name, rows in own.groupby("by"):
            axes.plot(rows["sparsity"], rows["score"], marker=".", label=name)
        axes.axhline(own[WORDS].iloc[0], color="grey", linestyle="--", linewidth=0.8)
        axes.set_title(task_label(task), fontsize=9)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.supxlabel("share of all weights that are zero", fontsize=9)
    with written_beside(path) as beside:
        figure.savefig(beside, metadata={"Date": None})


if __name__ == "__main__":
    main()
