"""The pictures of the page in docs/images: the committed results in a real browser, at both widths.

    UPDATE_SCREENSHOTS=1 .venv/bin/pytest -m slow tests/probing_bridge/report/test_screenshots.py

makes them anew; without it they are compared with what the page looks like now.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from probing_bridge.report.page import build
from probing_bridge.results.folder import read_results
from probing_bridge.results.runs import with_baseline

ROOT = Path(__file__).resolve().parents[3]
RESULTS, IMAGES = ROOT / "docs/results/open_en_de", ROOT / "docs/images"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page of the committed results; its figures are left out, as they lie below what is pictured."""
    results = with_baseline(read_results(RESULTS / "magnitude"), [RESULTS / "random"])
    yield build(results, tmp_path_factory.mktemp("page"), forms=())


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 1500, "light"), (390, 1500, "dark")])
def test_the_pictures_in_the_docs_are_of_this_page(
    browser: Any, page: Path, width: int, height: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = context.new_page()
    opened.goto(page.as_uri())
    shot = Image.open(io.BytesIO(opened.screenshot())).convert("RGB")
    context.close()
    path = IMAGES / f"page_{width}.png"
    if os.environ.get("UPDATE_SCREENSHOTS"):
        shot.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, "png", optimize=True)
    committed = Image.open(path).convert("RGB")
    assert committed.size == shot.size == (width, height)
    apart = np.abs(np.asarray(committed, dtype=int) - np.asarray(shot, dtype=int)).max(axis=2) > 48
    assert apart.mean() < 0.03, "UPDATE_SCREENSHOTS=1 makes the pictures anew"  # letters of another browser differ less
