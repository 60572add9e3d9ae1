"""The statements of Movva & Zhao (2020), Sections 3.2 to 7, each with its test on the runs of a study.

A claim is one entry of CLAIMS: the paper's sentence in short, its number, what is measured, what is compared, the
margin and a small function Numbers -> effects. Numbers of "the sparsest level" are those of the highest level that has
the rows. The entries stand beside their functions in probing, pruning, similarity and attention of this package.
Place in the flow: results, statistics -> claims -> report.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from probing_bridge.claims import attention, probing, pruning, similarity
from probing_bridge.claims.judging import Claim, Judgement, judge, judge_all

__all__ = ["CLAIMS", "Claim", "Judgement", "claims_table", "judge", "judge_all"]

_HEADLINE, *_PROBES = probing.CLAIMS
CLAIMS: tuple[Claim, ...] = (_HEADLINE, *pruning.CLAIMS, *_PROBES, *similarity.CLAIMS, *attention.CLAIMS)


def claims_table(judgements: Sequence[tuple[Claim, Judgement]]) -> pd.DataFrame:
    """Claims and verdicts as texts.

    Args:
        judgements: Claims with what `judge_all` said.

    Returns:
        section, claim, paper (its number), ours, verdict, rule, detail, figure; a row a claim.
    """
    rows = [
        (claim.section, claim.statement, claim.paper, found.ours, found.verdict, claim.rule, found.detail, claim.figure)
        for claim, found in judgements
    ]
    columns = ["section", "claim", "paper", "ours", "verdict", "rule", "detail", "figure"]
    return pd.DataFrame(rows, columns=columns)
