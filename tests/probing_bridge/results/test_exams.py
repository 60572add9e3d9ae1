"""The committed marks: of every measure, in docs/measures.md as on the page."""

from pathlib import Path

import pandas as pd

from probing_bridge.figures import FIGURES
from probing_bridge.report.markdown import to_markdown
from probing_bridge.results.exams import MARKS
from probing_bridge.results.folder import read_results
from probing_bridge.similarity import MEASURES

ROOT = Path(__file__).parents[3]


def test_every_measure_has_marks_and_the_document_has_the_same() -> None:
    marks = pd.read_csv(MARKS, keep_default_na=False)
    expected = [(name, variant) for name, measure in MEASURES.items() for variant in measure.variants]
    assert sorted(zip(marks["measure"], marks["variant"], strict=True)) == sorted(expected)
    exams = marks.drop(columns=["measure", "variant"])
    assert ((exams >= 0) & (exams <= 1)).all(axis=None)
    shown = marks.assign(**{exam: [f"{mark:.2f}" for mark in exams[exam]] for exam in exams})
    assert to_markdown(shown, text_columns=2) in (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")


def test_the_page_shows_the_marks_of_the_measures_that_were_scored(small_folder: Path, tmp_path: Path) -> None:
    results, exhibit = read_results(small_folder), FIGURES["table_exams"]
    scored = results["similarity"][["measure", "variant"]].drop_duplicates()
    shown = exhibit.data(results)
    known = [(name, variant) for name, measure in MEASURES.items() for variant in measure.variants]
    pairs = [set(zip(frame["measure"], frame["variant"], strict=True)) for frame in (shown, scored)]
    assert pairs[0] == pairs[1] & set(known) and ("linear_cka", "biased") in pairs[0]
    marks = pd.read_csv(MARKS, keep_default_na=False).set_index(["measure", "variant"])
    assert exhibit.show(shown)["added noise"].tolist() == [
        f"{marks.loc[(row.measure, row.variant), 'added noise']:.2f}" for row in shown.itertuples()
    ]
    assert not len(exhibit.data(read_results(_without_similarity(small_folder, tmp_path))))


def _without_similarity(folder: Path, to: Path) -> Path:
    for path in folder.glob("*.csv"):
        if path.name != "similarity.csv":
            (to / path.name).write_bytes(path.read_bytes())
    return to
