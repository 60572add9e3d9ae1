"""Prints what a run found: levels with sparsity and BLEU, and the best layer of each probe beside its baseline."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from probing_bridge.formats.tables import read_table


def main() -> None:
    """Prints the two tables of one results folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True)
    folder = parser.parse_args().results
    levels = pd.read_csv(folder / "lth.csv").set_index("level")
    bleu = read_table(folder / "bleu.csv", "bleu")
    for metric, scores in bleu.groupby("metric", sort=False):
        print_levels(str(metric), levels, scores.set_index("level"))
    if not (folder / "probes.csv").is_file():
        return
    probes = read_table(folder / "probes.csv", "probes")
    print("linear probes, best encoder layer, and the most frequent label")
    print(best_scores(probes).to_string(float_format="{:.3f}".format, na_rep="-"), "\n")


def print_levels(metric: str, levels: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Prints sparsity and one kind of BLEU of every level."""
    print(f"\n{'level':6} {'pruned':>7} {'of all':>7} {'BLEU':>6}   ({metric}, 95 % interval)")
    for level, row in levels.iterrows():
        score = scores.loc[level]
        interval = f"{score['low']:.1f}-{score['high']:.1f}"
        print(
            f"LTH{level:<3} {row['sparsity_prunable']:7.1%} {row['sparsity']:7.1%} {score['score']:6.2f}   ({interval})"
        )
    print(f"{scores['signature'].iloc[0]}, {scores['n'].iloc[0]} sentences\n")


def best_scores(probes: pd.DataFrame) -> pd.DataFrame:
    """Task and metric x model: the linear probe's best encoder layer, with the majority baseline as the last column."""
    linear = probes[(probes["probe"] == "linear") & (probes["layer"] != "0")]
    best = linear.pivot_table(index=["task", "metric"], columns="model", values="score", aggfunc="max", observed=True)
    majority = probes[probes["probe"] == "majority"].groupby(["task", "metric"])["score"].first()
    return best.assign(majority=majority)


if __name__ == "__main__":
    main()
