"""The pictures of the page in docs/images: the committed study in a real browser, page and verdicts.

    UPDATE_SCREENSHOTS=1 .venv/bin/pytest -m slow tests/probing_bridge/report/test_screenshots.py

makes them anew; without it they are compared with what the page looks like now.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from probing_bridge.report.page import build
from probing_bridge.results.folder import Results

IMAGES = Path(__file__).resolve().parents[3] / "docs/images"
FAMILIES = (*range(2, 10), *range(11, 14))  # the plots that docs/RESULTS.md shows; 1, the headline, and 10 were not run
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(study: Results, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page of the committed study; its figures are left out, as they lie below what is pictured."""
    yield build(study, tmp_path_factory.mktemp("page"), forms=())


@contextmanager
def shown(browser: Any, page: Path, width: int, height: int, scheme: str) -> Iterator[Any]:
    """The page in a window of this size."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = context.new_page()
    opened.goto(page.as_uri())
    yield opened
    context.close()


@pytest.fixture(scope="module")
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """The page at 1280 pixels, light."""
    with shown(browser, page, 1280, 1500, "light") as opened:
        yield opened


def require_same(path: Path, taken: bytes, colours: int) -> tuple[int, int]:
    """The committed picture is the one that was taken, but for what another browser draws otherwise; its size."""
    shot = Image.open(io.BytesIO(taken)).convert("RGB")
    if os.environ.get("UPDATE_SCREENSHOTS"):
        shot.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, "png", optimize=True)
    committed = Image.open(path).convert("RGB")
    assert committed.size == shot.size
    apart = np.abs(np.asarray(committed, dtype=int) - np.asarray(shot, dtype=int)).max(axis=2) > 48
    assert apart.mean() < 0.03, "UPDATE_SCREENSHOTS=1 makes the pictures anew"  # letters of another browser differ less
    return shot.size


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 1500, "light"), (390, 1500, "dark")])
def test_the_pictures_in_the_docs_are_of_this_page(
    browser: Any, page: Path, width: int, height: int, scheme: str
) -> None:
    with shown(browser, page, width, height, scheme) as opened:
        assert require_same(IMAGES / f"page_{width}.png", opened.screenshot(), 256) == (width, height)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_forest_plots_in_the_results_are_of_this_page(opened: Any, family: int) -> None:
    require_same(IMAGES / f"claims-{family}.png", opened.locator(f"#claims-{family}").screenshot(), 128)


def test_the_results_show_every_forest_plot_that_is_pictured() -> None:
    text = (IMAGES.parent / "RESULTS.md").read_text()
    assert sorted(IMAGES.glob("claims-*.png")) == sorted(IMAGES / f"claims-{family}.png" for family in FAMILIES)
    assert all(f"(images/claims-{family}.png)" in text for family in FAMILIES)
