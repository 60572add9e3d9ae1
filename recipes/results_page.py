"""Fills the tables of a Markdown page from the CSVs that `report` writes beside its figures.

    python recipes/results_page.py --figures REPORT/figures --page docs/RESULTS.md [--check]

A table stands between `<!-- table NAME -->` and `<!-- end -->`; NAME is one of TABLES. With --check nothing is written:
the exit status is 1 if a table on the page is not what the CSVs give.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

BLOCK = re.compile(r"(<!-- table (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Fills or checks the page; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, required=True, help="folder with the CSVs of a report")
    parser.add_argument("--page", type=Path, required=True, help="the Markdown page")
    parser.add_argument("--check", action="store_true", help="only say whether the page agrees with the CSVs")
    arguments = parser.parse_args()
    try:
        text = arguments.page.read_text(encoding="utf-8")
        filled = fill(text, arguments.figures)
    except (OSError, KeyError) as error:
        print(f"results_page: {error}", file=sys.stderr)
        return 1
    if arguments.check:
        if filled != text:
            print(f"results_page: {arguments.page} has tables that {arguments.figures} does not give", file=sys.stderr)
        return int(filled != text)
    beside = arguments.page.with_name(f"{arguments.page.name}.tmp")
    beside.write_text(filled, encoding="utf-8")
    os.replace(beside, arguments.page)
    return 0


def fill(text: str, figures: Path) -> str:
    """The page with every table made anew.

    Raises:
        KeyError: A table that TABLES does not have.
        OSError: A CSV is missing.
    """
    return BLOCK.sub(lambda block: block[1] + markdown(TABLES[block[2]](figures)) + block[4], text)


def markdown(table: pd.DataFrame) -> str:
    """A table of texts in Markdown."""
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def by_level(frame: pd.DataFrame, rows: list[str], value: str, digits: int) -> pd.DataFrame:
    """One row per combination of `rows` in the order of the file, one column per level."""
    shown = frame[value].map(lambda score: "-" if pd.isna(score) else f"{score:.{digits}f}")
    scores = frame.assign(shown=shown).set_index([*rows, "level"])["shown"].unstack("level", fill_value="-")
    return frame[rows].drop_duplicates().merge(scores.rename(columns="LTH{}".format).reset_index(), on=rows)


def levels(figures: Path) -> pd.DataFrame:
    """Table A1: sparsity and BLEU of every level, a column per way of pruning."""
    frame = pd.read_csv(figures / "table_a1_levels.csv")
    table = pd.DataFrame({"level": [f"LTH{level}" for level in sorted(frame["level"].unique())]})
    sparsity = frame.groupby("level")[["sparsity_prunable", "sparsity"]].first()
    table["pruned"] = [f"{share:.1%}" for share in sparsity["sparsity_prunable"]]
    table["of all weights"] = [f"{share:.1%}" for share in sparsity["sparsity"]]
    for run, rows in frame.groupby("run", sort=False):
        scores = rows.set_index("level").reindex(sparsity.index)
        table[f"BLEU, {run}"] = [
            "-" if pd.isna(row.score) else f"{row.score:.2f} ({row.low:.1f} to {row.high:.1f})"
            for row in scores.itertuples()
        ]
    return table


def linear(figures: Path) -> pd.DataFrame:
    """Table A2: the best layer's score of every task and level, with the majority baselines."""
    return probe_table(pd.read_csv(figures / "table_a2_linear_scores.csv"))


def mlp(figures: Path) -> pd.DataFrame:
    """Table A3: the same for the MLP probes."""
    return probe_table(pd.read_csv(figures / "table_a3_mlp_scores.csv"))


def probe_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Task, metric, items and baselines, then a score per level."""
    facts = frame.groupby("task", sort=False)[["metric", "n", "majority", "word_majority"]].first()
    table = by_level(frame, ["task"], "score", 3)
    for place, column in enumerate(("metric", "n", "majority", "word_majority"), start=1):
        values = facts[column].loc[table["task"]]
        shown = ["-" if pd.isna(value) else f"{value:.3f}" if "majority" in column else str(value) for value in values]
        table.insert(place, column.replace("_", " "), shown)
    return table


def trends(figures: Path) -> pd.DataFrame:
    """Section 4.2: Kendall's tau of score and level, and what follows for the task."""
    frame = pd.read_csv(figures / "table_4_2_trends.csv")
    scores = {
        "LTH0": frame["first"].map("{:.3f}".format),
        "last level": frame["last"].map("{:.3f}".format),
        "tau": frame["tau"].map("{:+.2f}".format),
        "p": frame["p"].map("{:.3f}".format),
        "p, corrected": frame["p_holm"].map("{:.3f}".format),
    }
    return frame[["task"]].assign(**scores, verdict=frame["kind"])


def modules(figures: Path) -> pd.DataFrame:
    """Fig. A1: sparsity of each kind of module at the last level, a column per layer."""
    frame = pd.read_csv(figures / "fig_a1_modules.csv")
    last = frame[frame["level"] == frame["level"].max()]
    wide = last.pivot(index=["component", "kind"], columns="layer", values="module_sparsity")
    return wide.map("{:.1%}".format).rename(columns="layer {}".format).reset_index()


def neurons(figures: Path) -> pd.DataFrame:
    """Fig. 4: NeuronSim of every layer with the same layer of LTH0."""
    return by_level(pd.read_csv(figures / "fig_4_neuron_similarity.csv"), ["component", "layer"], "score", 3)


def layers(figures: Path) -> pd.DataFrame:
    """Fig. A5: linear CKA of every layer with the same layer of LTH0."""
    return by_level(pd.read_csv(figures / "fig_a5_layers_to_dense.csv"), ["component", "layer"], "score", 3)


def own_index(figures: Path) -> pd.DataFrame:
    """Section 5.1: share of neurons whose best match in LTH0 is the neuron of their own index."""
    return by_level(all_layers(figures / "table_own_index.csv"), ["component"], "share", 3)


def spectrum(figures: Path) -> pd.DataFrame:
    """Fig. A7: how many principal components hold 80 % of the variance of the last layers."""
    frame = pd.read_csv(figures / "fig_a7_spectrum.csv")
    enough = frame[frame["cumulative_variance"] >= 0.8]
    keys = ["component", "layer", "variant"]
    return by_level(enough.groupby([*keys, "level"], as_index=False)["k"].min(), keys, "k", 0)


def concentration(figures: Path) -> pd.DataFrame:
    """Section 5.4.3: share of attention distributions with more than 0.95 of the mass on one position."""
    return by_level(all_layers(figures / "table_concentration.csv"), ["component"], "score", 3)


def off_diagonal(figures: Path) -> pd.DataFrame:
    """Section 5.4: mean similarity of an attention layer with the other layers of its level."""
    return by_level(pd.read_csv(figures / "table_off_diagonal.csv"), ["component", "layer"], "score", 3)


def all_layers(path: Path) -> pd.DataFrame:
    """The rows of a table that sum up the layers."""
    frame = pd.read_csv(path)
    return frame[frame["layer"] == "all"]


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "levels": levels,
    "linear": linear,
    "mlp": mlp,
    "trends": trends,
    "modules": modules,
    "neurons": neurons,
    "layers": layers,
    "own_index": own_index,
    "spectrum": spectrum,
    "concentration": concentration,
    "off_diagonal": off_diagonal,
}

if __name__ == "__main__":
    sys.exit(main())
