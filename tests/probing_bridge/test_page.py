"""The page in a real browser: no errors, no overflow, sorting, picking, hovering; axe-core where it is to be had."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page was not opened")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


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


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_figure_is_seen_without_errors_or_overflow(
    browser: Any, small_page: Path, width: int, scheme: str
) -> None:
    page, complaints = opened(browser, small_page, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("[...document.querySelectorAll('.picture svg')].map(s => [s.clientWidth, s.clientHeight])")
    assert len(sizes) == 17 and all(w > 250 and h > 80 for w, h in sizes)
    labels = page.evaluate("[...document.querySelectorAll('.picture')].map(p => p.getAttribute('aria-label'))")
    assert all(len(label) > 60 for label in labels)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(253, 253, 251)" if scheme == "light" else "rgb(20, 23, 26)")
    assert complaints == []


def test_sorting_picking_and_hovering(browser: Any, small_page: Path) -> None:
    page, complaints = opened(browser, small_page, viewport={"width": 1280, "height": 900})
    button = page.locator("#table_a2_linear_scores th button", has_text="LTH0")
    column = "[...document.querySelectorAll('#table_a2_linear_scores tbody tr')].map(r => +r.cells[3].textContent)"
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


def test_it_is_whole_without_scripts(browser: Any, small_page: Path) -> None:
    page, complaints = opened(browser, small_page, java_script_enabled=False)
    assert page.locator("figure").count() == 24
    assert page.locator(".pick").is_hidden()
    assert "POS, LTH0, layer" in page.locator("#fig_1_linear_probes .mark title").first.text_content()
    assert complaints == []


def test_axe_finds_nothing_serious(browser: Any, small_page: Path) -> None:
    script = os.environ.get("AXE_CORE")
    if not script:
        pytest.skip("AXE_CORE is not set to the axe.min.js of npm's axe-core: accessibility was not checked")
    for scheme in ("light", "dark"):
        page, _ = opened(browser, small_page, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        page.add_script_tag(path=script)
        violations = page.evaluate("axe.run()")["violations"]
        assert [(v["id"], v["impact"]) for v in violations if v["impact"] in ("serious", "critical")] == []
