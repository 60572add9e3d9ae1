"""An experiment beside its controls: what pruning did, less what training on did, to probes and on the way to outputs.

Everything here selects, averages and subtracts rows that are in the tables. Place in the flow: levels, probing,
similarity, outputs -> beside -> figures.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.levels import judged_test, named
from probing_bridge.results.naming import COMPONENTS
from probing_bridge.results.outputs import DECODER, EMBEDDINGS, ENCODER, PATH, damage_path_data
from probing_bridge.results.probing import linear_data, probe_scores, widest
from probing_bridge.results.similarity import to_dense

# The order of computation; of layers and heads that are alike there is the mean.
STAGES = (
    f"{EMBEDDINGS}, encoder", COMPONENTS["encoder_self"], ENCODER, f"{EMBEDDINGS}, decoder", COMPONENTS["decoder_self"],
    COMPONENTS["encoder_decoder"], DECODER, *PATH[3:],
)  # fmt: skip


def _experiment_and_controls(results: Results) -> list[tuple[Results, str]]:
    """The experiment, then its controls, each with a name of its own."""
    own, *beside = named(results)
    return [own, *beside[len(results.baselines) :]]


def probes_data(results: Results) -> pd.DataFrame:
    """Scores of linear probes less those of each control, at the sparsest level that it shares with the experiment.

    Returns:
        The columns of `probed` at that level, then experiment (the control's name), other (its score at the same layer)
        and difference with the ends of the widest interval that those of both scores allow; by control, task (paper's
        order) and run; without rows if no control was probed.
    """
    own, place = linear_data(results), [RUN, "task", "level", "layer", "metric"]
    frames = [own.iloc[:0].assign(experiment="", other=float("nan"))]
    for control, name in _experiment_and_controls(results)[1:]:
        theirs = probe_scores(_of_its_own(control), "linear")[[*place, "score", "low", "high"]]
        theirs = theirs.rename(columns={"score": "other", "low": "other_low", "high": "other_high"})
        both = own.merge(theirs, on=place).assign(experiment=name)
        frames.append(both[both["level"] == both["level"].max()])
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    rows = rows.assign(difference=rows["score"] - rows["other"])
    if len(rows):
        theirs = rows[["other_low", "other_high"]].set_axis(["low", "high"], axis=1)
        low, high = widest(rows["difference"], rows, theirs)
        rows = rows.assign(low=low, high=high)
    return rows.drop(columns=["other_low", "other_high"], errors="ignore")


def _of_its_own(control: Results) -> Results:
    """A control without the probes of the levels that it branched off, which are the experiment's."""
    probes = control["probes"]
    own = probes["experiment"].isin([run.experiment for run in control.runs])
    return replace(control, tables={**control.tables, "probes": probes[own]})


def damage_data(results: Results) -> pd.DataFrame:
    """How far the sparsest level is from LTH0 at each stage of the computation, and as far as each control is.

    Returns:
        stage (of STAGES), experiment (the first is the results' own), run, level, value (as in damage_path_data, 1 -
        CKA of attention; means over layers), excess (the experiment's value less this one's); without rows if no
        control has that level.
    """
    test = judged_test(results)
    own, *controls = [_stages(one, test).assign(experiment=name) for one, name in _experiment_and_controls(results)]
    own = own[own["level"] == own["level"].max()]
    place = [RUN, "stage", "level"]
    frames = [control.merge(own[[*place, "value"]].rename(columns={"value": "own"}), on=place) for control in controls]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return own.iloc[:0].assign(excess=float("nan"))
    rows = pd.concat([own.assign(own=float("nan")), *frames], ignore_index=True)
    rows = rows.assign(excess=rows["own"] - rows["value"])
    order = {stage: place for place, stage in enumerate(STAGES)}
    rows = rows.sort_values("stage", key=lambda stages: stages.map(order), kind="stable", ignore_index=True)
    return rows[["stage", "experiment", RUN, "level", "value", "excess"]]


def _stages(results: Results, test: tuple[str, str] | None) -> pd.DataFrame:
    """Distance from LTH0 by run, stage and level, as the mean over layers."""
    path = damage_path_data(results, test)
    of_side = path["stage"] == EMBEDDINGS
    path = path.assign(stage=path["stage"].mask(of_side, path["stage"] + ", " + path["component"]))
    attention = to_dense(results, "attention_cka")
    attention = attention.assign(stage=attention["component"].map(COMPONENTS), value=1 - attention["score"])
    rows = pd.concat([frame for frame in (path, attention) if len(frame)] or [path], ignore_index=True)
    return rows.groupby(["stage", RUN, "level"], as_index=False, sort=False).agg(value=("value", "mean"))
