"""The marks of the similarity measures: how each does where the right answer is known (`python -m benchmarks.exams`).

Place in the flow: similarity, exams.csv beside this file -> exams -> figures.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from probing_bridge.results.folder import Results

MARKS = Path(__file__).with_name("exams.csv")


def marks_data(results: Results) -> pd.DataFrame:
    """Marks of the measures of layers that the results have.

    Returns:
        measure, variant, and a column for each exam, in [0, 1], 1 = all right; see docs/measures.md. `variant` is empty
        of measures that have one.
    """
    marks = pd.read_csv(MARKS, keep_default_na=False)
    known = results["similarity"][["measure", "variant"]].drop_duplicates()
    return marks.merge(known, on=["measure", "variant"])
