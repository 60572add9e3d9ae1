"""The page in a real browser: no errors, no overflow, sorting, picking, hovering; axe-core where it is to be had."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from probing_bridge.figures import FIGURES


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page in a fresh context, and what it complained about."""
    page = browser.new_context(**options).new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else complaints.append(request.url),
    )
    page.goto(path.as_uri())
    return page, complaints


# What has to be scrolled sideways to be seen, and how far to the right each figure with its caption reaches.
CUT_OFF_PARTS = """[...document.querySelectorAll(".scroll")].filter(part => part.scrollWidth > part.clientWidth + 1)"""
CUT_OFF = f"{CUT_OFF_PARTS}.map(part => part.getAttribute('aria-label'))"
RIGHT_ENDS = """[...new Set([...document.querySelectorAll("figure:not(.tables) figcaption")]
    .map(part => Math.round(part.getBoundingClientRect().right)))]"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_figure_is_seen_without_errors_or_overflow(
    browser: Any, small_page: Path, width: int, scheme: str
) -> None:
    page, complaints = opened(browser, small_page, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("[...document.querySelectorAll('.picture svg')].map(s => [s.clientWidth, s.clientHeight])")
    assert len(sizes) == 19 and all(w > 250 and h > 80 for w, h in sizes)
    labels = page.evaluate("[...document.querySelectorAll('.picture')].map(p => p.getAttribute('aria-label'))")
    assert all(len(label) > 60 for label in labels)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(253, 253, 251)" if scheme == "light" else "rgb(20, 23, 26)")
    if width == 390:
        assert page.evaluate(f"{CUT_OFF_PARTS}.filter(part => part.querySelector('.picture')).length") == 0
        picture = page.locator("#fig_a1_modules .scroll")
        picture.focus()
        assert picture.evaluate("part => part.scrollWidth") > 550  # letters as large as on a wide screen
    if width == 1280:
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(RIGHT_ENDS) == [1260]  # of the page's 1280, less its edge
    assert page.locator("details.made[open]").count() == 0 and page.locator("details.made").count() > 20
    assert complaints == []


def test_sorting_picking_and_hovering(browser: Any, small_page: Path) -> None:
    page, complaints = opened(browser, small_page, viewport={"width": 1280, "height": 900})
    button = page.locator("#table_a2_linear_scores th button", has_text=re.compile("^LTH0$"))
    place = button.evaluate("button => button.closest('th').cellIndex")
    rows = "[...document.querySelectorAll('#table_a2_linear_scores tbody tr')]"
    column = f"{rows}.map(r => +r.cells[{place}].textContent)"
    button.focus()
    for reverse in (False, True):
        page.keyboard.press("Enter")
        values = page.evaluate(column)
        assert values == sorted(values, reverse=reverse)
    page.select_option("select[name=level]", "2")
    bright = page.evaluate("[...document.querySelectorAll('.mark.on')].map(m => m.dataset.level)")
    assert bright and all(not levels or "2" in levels.split() for levels in bright)
    assert page.locator("tr.on").count() > 0
    page.locator("#fig_1_linear_probes .mark").first.hover()
    assert "POS, LTH0, layer" in page.locator(".tip").text_content()
    assert complaints == []


def test_a_chosen_level_and_layer_are_what_the_layer_maps_show(browser: Any, small_page: Path) -> None:
    page, complaints = opened(browser, small_page, viewport={"width": 1280, "height": 900})
    picture, maps = page.locator("#fig_6_encoder_attention .picture"), page.locator("#fig_6_encoder_attention .maps")

    def shown() -> list[str]:
        return [maps.nth(i).get_attribute("data-level") for i in range(maps.count()) if maps.nth(i).is_visible()]

    assert picture.is_visible() and shown() == []
    page.select_option("select[name=level]", "2")
    assert not picture.is_visible() and shown() == ["2"]
    assert "within LTH2" in maps.nth(2).locator("caption").first.text_content()
    page.select_option("select[name=layer]", "2")
    bright = maps.nth(2).locator("table").first.locator("td:not(.off)")
    assert bright.count() == 5  # the row and the column of layer 2
    page.select_option("select[name=level]", "3")  # the level of the figure
    assert picture.is_visible() and shown() == []
    page.select_option("select[name=level]", "")
    assert picture.is_visible() and shown() == []
    page.locator("#fig_6_encoder_attention .levels summary").click()
    assert shown() == [str(level) for level in range(4)]
    assert complaints == []


def test_every_levels_maps_are_there_without_scripts(browser: Any, small_page: Path) -> None:
    page, _ = opened(browser, small_page, java_script_enabled=False)
    page.locator("#fig_6_encoder_attention .levels summary").click()
    maps = page.locator("#fig_6_encoder_attention .maps")
    assert maps.count() == 4 and all(maps.nth(i).is_visible() for i in range(4))


def test_it_is_whole_without_scripts(browser: Any, small_page: Path) -> None:
    page, complaints = opened(browser, small_page, java_script_enabled=False)
    assert page.locator("figure").count() == len(FIGURES) - 2  # there is no control
    assert page.locator(".pick").is_hidden()
    assert "POS, LTH0, layer" in page.locator("#fig_1_linear_probes .mark title").first.text_content()
    assert complaints == []


@pytest.mark.slow
def test_nothing_of_nine_levels_and_18_tasks_is_cut_off(browser: Any, full_page: Path) -> None:
    page, _ = opened(browser, full_page, viewport={"width": 1280, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate(CUT_OFF) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(browser: Any, full_page: Path, width: int, scheme: str) -> None:
    script = os.environ.get("AXE_CORE")
    if not script:
        pytest.skip("AXE_CORE is not set to the axe.min.js of npm's axe-core: accessibility was not checked")
    page, _ = opened(browser, full_page, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.add_script_tag(path=script)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    violations = page.evaluate("axe.run()")["violations"]
    assert [(v["id"], v["impact"]) for v in violations if v["impact"] in ("serious", "critical")] == []


# Corners on the screen of every line of text in every figure, turned ones too, and the pairs of them that overlap by
# more than a pixel of the figure's own size (separating axes: two turned boxes are apart along one of their sides).
OVERLAPS = """
() => {
  const found = [];
  for (const svg of document.querySelectorAll(".picture svg")) {
    const scale = svg.getScreenCTM().a;
    const groups = [...svg.querySelectorAll("g")].filter((g) => g.querySelector(":scope > use[href^='#DejaVu']"));
    const boxes = groups.map((g) => {
      const [box, matrix] = [g.getBBox(), g.getScreenCTM()];
      const corner = (x, y) => new DOMPoint(x, y).matrixTransform(matrix);
      const [left, right, top, bottom] = [box.x, box.x + box.width, box.y, box.y + box.height];
      return [corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)];
    });
    const apart = (one, other) => [0, 1].some((side) => {
      const [dx, dy] = [one[side + 1].x - one[side].x, one[side + 1].y - one[side].y];
      const length = Math.hypot(dx, dy) || 1;
      const along = (p) => (p.x * dx + p.y * dy) / length;
      const [a, b] = [one.map(along), other.map(along)];
      return Math.min(Math.max(...a), Math.max(...b)) - Math.max(Math.min(...a), Math.min(...b)) < scale;
    });
    boxes.forEach((one, i) => boxes.slice(0, i).forEach((other, j) => {
      if (!apart(one, other) && !apart(other, one)) found.push([svg.closest("figure").id, i, j]);
    }));
    found.push(...(groups.length ? [] : [[svg.closest("figure").id, "no text"]]));
  }
  return found;
}
"""


@pytest.mark.parametrize(
    ("which", "width"),
    [
        ("small_page", 1280),
        pytest.param("full_page", 1280, marks=pytest.mark.slow),
        pytest.param("full_page", 390, marks=pytest.mark.slow),
    ],
)
def test_no_two_lines_of_text_overlap_in_a_figure(
    request: pytest.FixtureRequest, browser: Any, which: str, width: int
) -> None:
    page, _ = opened(browser, request.getfixturevalue(which), viewport={"width": width, "height": 900})
    assert page.evaluate(OVERLAPS) == []
    # the check sees what it is for: a text moved onto its neighbour
    page.evaluate(
        "() => { const [a, b] = [...document.querySelectorAll('#fig_bleu_sparsity .picture g')]"
        ".filter(g => g.querySelector(':scope > use')); b.setAttribute('transform', a.getAttribute('transform')); }"
    )
    assert {found[0] for found in page.evaluate(OVERLAPS)} == {"fig_bleu_sparsity"}
