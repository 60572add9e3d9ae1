"""The printed summary of a run of `probe`: tasks and models at their chosen layers, gains, baselines, remarks."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from probing_bridge.probes.baselines import BASELINES
from probing_bridge.probes.measures import CEILING, GAIN, MEASURES, side_metrics
from probing_bridge.probes.problem import PROBES
from probing_bridge.results.chosen import DEVELOPMENT, best_layer, chosen_layer
from probing_bridge.results.naming import rows_of
from probing_bridge.results.probing import FIRST_EPOCHS, SIDES, seed_means


def summary(probes: pd.DataFrame) -> str:
    """Each task, model and kind of probe, as in the report's tables: score, gain over layer 0, sides and baselines.

    Args:
        probes: The probes table, of one experiment or of several.

    Returns:
        Lines of text; scores are means over seeds. After the table, what is to be held against them.
    """
    rows = scores_of_models(probes)
    beside = [name for name in (*SIDES, CEILING) if rows[name].notna().any()]
    names = "".join(f" {name:>15}" for name in (*beside, *BASELINES))
    lines = [
        f"{'task':24} {'model':16} {'probe':7} {'layer':>5} {'score':>7} {'gain [95 %]':>23}{names} "
        f"{'best':>5} {'on test':>7}"
    ]
    for row in rows_of(rows):
        cells = "".join(f" {_number(getattr(row, name)):>15}" for name in (*beside, *BASELINES))
        gain = with_interval(row.gain, row.gain_low, row.gain_high)
        lines.append(
            f"{row.task:24} {row.model:16} {row.probe:7} {row.layer:>5} {row.score:7.3f} {gain:>23}"
            f"{cells} {row.best_layer:>5} {row.best_score:7.3f}"
        )
    return "\n".join([*lines, *_remarks(rows)])


def scores_of_models(probes: pd.DataFrame) -> pd.DataFrame:
    """Every task, model and kind of probe at its chosen layer beside what it is held against, for printing.

    Args:
        probes: Rows of the table of probes, of levels or of any other models; a model that is no level has a layer of
            its own.

    Returns:
        task, experiment, model, level, probe, metric, layer, score, chosen_on, best_epoch; best_layer and best_score
        (the best on test); gain, gain_low, gain_high; a column for each of SIDES and the ceiling of the control task,
        at the same layer; one a baseline; NaN where something was not measured; in the order of the table.
    """
    means = seed_means(probes)
    own = means[~means["metric"].isin(side_metrics())]
    scores = own[own["probe"].isin(PROBES)]
    scores = scores.assign(choice=scores["model"].where(scores["level"].isna(), ""))
    place = ["task", "experiment", "model", "probe"]
    earliest = probes.groupby([*place, "layer", "metric"], as_index=False)["best_epoch"].min()
    rows = chosen_layer(scores.drop(columns="best_epoch"), ["choice", "task", "probe", "metric"])
    rows = rows.merge(earliest, on=[*place, "layer", "metric"], how="left")
    best = best_layer(scores, [*place, "metric"])[[*place, "layer", "score"]]
    rows = rows.merge(best.rename(columns={"layer": "best_layer", "score": "best_score"}), on=place, how="left")
    rows = rows.drop(columns=["low", "high"])
    gains = means.loc[means["metric"] == GAIN, [*place, "layer", "score", "low", "high"]]
    rows = rows.merge(gains.rename(columns={"score": GAIN, "low": "gain_low", "high": "gain_high"}), how="left")
    for side in (*SIDES, CEILING):
        part = means.loc[means["metric"] == side, [*place, "layer", "score"]].rename(columns={"score": side})
        part["probe"] = part["probe"].str.removesuffix(MEASURES["control"].suffix)
        rows = rows.merge(part, how="left")
    about = ["task", "experiment", "metric"]
    for baseline in BASELINES:
        part = own[own["probe"] == baseline].rename(columns={"score": baseline})
        rows = rows.merge(part[[*about, baseline]], on=about, how="left")
    names = list(dict.fromkeys(zip(probes["task"], probes["model"], probes["probe"], strict=True)))
    order = {name: place for place, name in enumerate(names)}
    keys = pd.Series(list(zip(rows["task"], rows["model"], rows["probe"], strict=True)), index=rows.index, dtype=object)
    return rows.loc[keys.map(order).sort_values(kind="stable").index].reset_index(drop=True)


def with_interval(gain: float, low: float, high: float) -> str:
    """A gain and its interval as text; `-` for what is not there."""
    return ("-" if pd.isna(gain) else f"{gain:+.3f}") + ("" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]")


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"


def _remarks(rows: pd.DataFrame) -> list[str]:
    """How the layers were chosen; which rows say little, and why."""
    on_development = (rows["chosen_on"] == DEVELOPMENT).all()
    split = "development split" if on_development else "test split, for want of development scores"
    lines = [
        f"layer: one for all levels, by the scores on the {split}; best: of each level on the test split (the paper's)"
    ]
    least = rows["gain_low"].fillna(rows["gain"])
    found = {
        "uninformative, gain over layer 0 not above zero": least <= 0,
        "below the per-word majority": rows["score"] < rows["word_majority"],
        f"hardly trained, best epoch {' or '.join(map(str, range(FIRST_EPOCHS + 1)))}": rows["best_epoch"]
        <= FIRST_EPOCHS,
    }
    for what, which in found.items():
        named = _counted(rows[which.fillna(False).astype(bool)], rows)
        lines += [f"{what}: {', '.join(named)}"] * bool(named)
    return lines


def _counted(some: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Tasks, with in how many of their models they are."""
    of, found = (Counter(zip(frame["task"], frame["probe"], strict=True)) for frame in (rows, some))
    return [
        task + f" {probe}" * (probe != "linear") + f" ({n} of {of[task, probe]} models)" * (of[task, probe] > 1)
        for (task, probe), n in found.items()
    ]
