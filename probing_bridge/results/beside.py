"""What probes find in an experiment beside its controls: what pruning did, less what training on did.

Everything here selects and subtracts rows that are in the tables. Place in the flow: levels, probing -> beside ->
figures.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from probing_bridge.results.folder import RUN, Results
from probing_bridge.results.levels import named
from probing_bridge.results.probing import linear_data, probe_scores


def probes_data(results: Results) -> pd.DataFrame:
    """Scores of linear probes less those of each control, at the sparsest level that it shares with the experiment.

    Returns:
        The columns of `probed` at that level, then experiment (the control's name), other (its score at the same layer)
        and difference with the ends of the widest interval that those of both scores allow; by control, task (paper's
        order) and run; without rows if no control was probed.
    """
    own, place = linear_data(results), [RUN, "task", "level", "layer", "metric"]
    frames = [own.iloc[:0].assign(experiment="", other=float("nan"))]
    for control, name in named(results)[1 + len(results.baselines) :]:
        theirs = probe_scores(_of_its_own(control), "linear")[[*place, "score", "low", "high"]]
        theirs = theirs.rename(columns={"score": "other", "low": "other_low", "high": "other_high"})
        both = own.merge(theirs, on=place).assign(experiment=name)
        frames.append(both[both["level"] == both["level"].max()])
    rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    rows = rows.assign(difference=rows["score"] - rows["other"])
    if len(rows):
        reach = (rows["high"] - rows["low"] + rows["other_high"] - rows["other_low"]).astype("float64") / 2
        rows = rows.assign(low=rows["difference"] - reach, high=rows["difference"] + reach)
    return rows.drop(columns=["other_low", "other_high"], errors="ignore")


def _of_its_own(control: Results) -> Results:
    """A control without the probes of the levels that it branched off, which are the experiment's."""
    probes = control["probes"]
    own = probes["experiment"].isin([run.experiment for run in control.runs])
    return replace(control, tables={**control.tables, "probes": probes[own]})
