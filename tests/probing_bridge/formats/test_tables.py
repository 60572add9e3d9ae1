"""Result tables: any text in a cell survives, values that cannot be are refused with line and column."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from probing_bridge.errors import InputError
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.tables import read_table, write_table

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=255)
ROW = {"experiment": "e", "level": 0, "test_set": "t", "metric": "m", "score": 27.5}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(TEXTS, min_size=1, max_size=4, unique=True))
@example(cells=["a\u2028b", "a\x85b", "a\rb", "a\r\nb", 'a"b', "a\nb", "\ufeffa", "a\x0bb\x1cc", " ", "nan", ","])
def test_any_text_survives(tmp_path: Path, cells: list[str]) -> None:
    rows = pd.DataFrame([{**ROW, "test_set": cell, "signature": cell} for cell in cells])
    write_table(rows, "bleu", tmp_path / "bleu.csv")
    read = read_table(tmp_path / "bleu.csv", "bleu")
    assert read["test_set"].tolist() == read["signature"].tolist() == cells
    assert read["score"].tolist() == [27.5] * len(cells) and read["low"].isna().all()


def test_sentences_have_any_length_and_names_do_not(tmp_path: Path) -> None:
    sentence = "word " * 500
    row = {
        "experiment": "e",
        "level_a": 0,
        "level_b": 1,
        "sentence": 0,
        "gold": "x",
        "source": sentence,
        "target": sentence,
    }
    write_table(pd.DataFrame([row]), "disagreements", tmp_path / "d.csv")
    assert read_table(tmp_path / "d.csv", "disagreements")[["source", "target"]].to_numpy().tolist() == [[sentence] * 2]
    write_table(pd.DataFrame([{**row, "gold": sentence}]), "disagreements", tmp_path / "d.csv")
    with pytest.raises(InputError, match=r"d.csv:2: column 'gold' has a text of 2,500 characters"):
        read_table(tmp_path / "d.csv", "disagreements")


def test_bytes_of_a_path_that_are_no_text_are_written_as_escapes(tmp_path: Path) -> None:
    write_table(pd.DataFrame([{**ROW, "command": "probe caf\udce9"}]), "bleu", tmp_path / "bleu.csv")
    assert read_table(tmp_path / "bleu.csv", "bleu")["command"].tolist() == ["probe caf\\udce9"]


def test_a_table_that_a_spreadsheet_saved_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "bleu.csv"
    write_table(pd.DataFrame([ROW]), "bleu", path)
    before = read_table(path, "bleu")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(read_table(path, "bleu"), before)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("bleu", "score", "inf", "not a finite number"),
        ("bleu", "low", "-Infinity", "not a finite number"),
        ("bleu", "score", "nan", "not a finite number"),
        ("bleu", "level", "-1", "at least 0"),
        ("bleu", "level", "inf", "not a whole number"),
        ("bleu", "n", "0.5", "not a whole number"),
        ("bleu", "level", "", "is empty"),
        ("bleu_differences", "other_level", "", "is empty"),
        ("lth", "level", "", "is empty"),
        ("lth_modules", "level", "", "is empty"),
        ("similarity", "level_a", "", "is empty"),
        ("bleu_differences", "p", "1.5", "between 0 and 1"),
        ("probes", "sparsity", "20", "between 0 and 1"),
        ("neurons", "correlation", "1.5", "between -1 and 1"),
        ("heads", "own_correlation", "-1.01", "between -1 and 1"),
        ("spectrum", "cumulative_variance", "80", "between 0 and 1"),
        ("similarity", "threshold", "-0.1", "between 0 and 1"),
        ("lth", "lr", "-0.1", "at least 0"),
        ("lth_modules", "module_sparsity", "1.1", "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_line_and_column(
    tmp_path: Path, table: str, column: str, value: str, message: str
) -> None:
    path = tmp_path / "table.csv"
    numbers = {name: 0 for name in TABLES[table].key if TABLES[table].columns[name] == "Int64"}
    write_table(pd.DataFrame([{"experiment": "a\nb", **numbers}, {"experiment": "c", **numbers}]), table, path)
    assert len(read_table(path, table)) == 2
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    cells.loc[1, column] = value
    cells.to_csv(path, index=False)
    with pytest.raises(InputError, match=message) as error:
        read_table(path, table)
    assert str(error.value).startswith(f"{path}:4: column '{column}' ") and value in str(error.value)
    assert error.value.line == 4 and f"column {column!r}" in str(error.value)  # the first row has two lines


@pytest.mark.parametrize(
    ("table", "prefix"),
    [
        ("bleu", ""),
        ("bleu_differences", "ratio_"),
        ("probes", ""),
        ("similarity", ""),
        ("disagreements", "divergence_"),
    ],
)
def test_an_interval_that_ends_before_it_begins_is_refused(tmp_path: Path, table: str, prefix: str) -> None:
    path, numbers = tmp_path / "table.csv", {name: 0 for name in TABLES[table].key}
    ends = {f"{prefix}low": 0.5, f"{prefix}high": 0.5 - 1e-12}
    write_table(pd.DataFrame([{**numbers, **ends}]), table, path)
    assert len(read_table(path, table)) == 1  # by rounding
    write_table(pd.DataFrame([{**numbers, **ends, f"{prefix}high": 0.25}]), table, path)
    with pytest.raises(InputError, match=f"column '{prefix}low' has 0.5, above '{prefix}high': 0.25") as error:
        read_table(path, table)
    assert error.value.line == 2
