"""Effects with intervals, and the word that an interval allows; of plain arrays, so that a notebook can do the same.

An effect is a paired difference with a unit: a level less LTH0, a pruned run less its control, a layer less another. Of
each run of a study it is one number; what is known of it beyond these runs is an Estimate:

    from probing_bridge.results.statistics import FALLS, over_runs, decide

    effects = [-2.9, -3.4, -2.2]                  # points of score, level 8 less LTH0, a number a run
    errors = [1.1, 1.2, 1.1]                      # of each, over the test sentences that the runs share
    estimate = over_runs(effects, errors)         # effect, standard error, degrees of freedom
    verdict = decide(estimate, FALLS, margin=1.0, unit="points", paper=-3.0)
    verdict.verdict, verdict.low, verdict.high    # holds, -5.17, -0.50

`multi_bootstrap` makes the same Estimate from sums over each sentence (kept predictions of probes, block sums of
similarity) and is sharper, since it sees what the runs' errors have in common. `decide_family` corrects the verdicts of
one statement about several tasks, layers or levels together. Place in the flow: arrays -> statistics -> claims, report.
"""

from probing_bridge.results.statistics.estimates import (
    REACH,
    Draws,
    Estimate,
    from_draws,
    multi_bootstrap,
    multi_jackknife,
    over_runs,
)
from probing_bridge.results.statistics.holm import ALPHA, holm
from probing_bridge.results.statistics.power import power, runs_needed
from probing_bridge.results.statistics.questions import FALLS, KEPT, RISES, SAME, Question
from probing_bridge.results.statistics.trends import fitted_change, fitted_weights, onset, peak
from probing_bridge.results.statistics.verdicts import (
    CANNOT_TELL,
    CONTRADICTED,
    EQUIVALENT,
    HOLDS,
    NOT_RUN,
    VERDICTS,
    Verdict,
    decide,
    decide_family,
    not_run,
)

__all__ = [
    "ALPHA",
    "CANNOT_TELL",
    "CONTRADICTED",
    "EQUIVALENT",
    "FALLS",
    "HOLDS",
    "KEPT",
    "NOT_RUN",
    "REACH",
    "RISES",
    "SAME",
    "VERDICTS",
    "Draws",
    "Estimate",
    "Question",
    "Verdict",
    "decide",
    "decide_family",
    "fitted_change",
    "fitted_weights",
    "from_draws",
    "holm",
    "multi_bootstrap",
    "multi_jackknife",
    "not_run",
    "onset",
    "over_runs",
    "peak",
    "power",
    "runs_needed",
]
