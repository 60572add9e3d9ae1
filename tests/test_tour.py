"""docs/tour.ipynb runs from top to bottom, and says in print what it says when it is run."""

from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tour.ipynb"


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell shows as text; of a figure, that there is one."""
    shown = [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
    assert all(output.get("name") != "stderr" for output in cell.outputs), cell.source
    return shown


def test_the_committed_notebook_is_small_and_whole() -> None:
    cells = read().cells
    assert NOTEBOOK.stat().st_size < 300_000
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert str(NOTEBOOK.parents[1]) not in NOTEBOOK.read_text()
    assert [cell.source for before, cell in pairwise(cells) if cell.cell_type == before.cell_type == "code"] == []
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) >= 3


@pytest.mark.slow
def test_running_it_again_gives_what_is_committed() -> None:
    committed, again = read(), read()
    NotebookClient(again, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    for was, cell in zip(committed.cells, again.cells, strict=True):
        if cell.cell_type == "code" and "computed" not in cell.metadata.get("tags", ()):
            assert texts(cell) == texts(was), cell.source
    across, masks = (cell.outputs[0]["data"]["text/plain"] for cell in again.cells if cell.metadata.get("tags"))
    assert masks.count("fc") == 8 and across.count("LTH0") == across.count("LTH1") == 3
