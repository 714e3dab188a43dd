"""Accessibility: WCAG 2.2 AA by axe, the keyboard alone, 360 pixels, and A4.

Every view is tested in every run. `make pages` sets OPSIN_PAGES and tests every state of a tour, light and dark, at
three widths and on paper.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inspection.browser.conftest import Tab
from tests.inspection.browser.tour import CLOSE, OPEN_ALL, SHOWN, State, states

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

whole_matrix = pytest.mark.skipif("OPSIN_PAGES" not in os.environ, reason="the whole matrix: make pages")

OUT_OF_REACH = """
(limit) => {
  const scrolls = (e) => e && (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
  return [...document.querySelectorAll('body *')]
    .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > limit + 1 && !scrolls(e))
    .map((e) => `${e.tagName}.${e.className.baseVal ?? e.className}`);
}
"""

CUT_ON_PAPER = """
(limit) => [...document.querySelectorAll('main figure, main table, main img, main canvas, main svg, main p, main pre')]
  .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > limit + 1)
  .map((e) => `${e.tagName}.${e.className.baseVal ?? e.className}`)
"""

MAPS_WITHOUT_TABLE = f"""
() => [...document.querySelectorAll('{SHOWN} .heat-map')].filter((e) => !e.querySelector('figcaption button')).length
"""

HYPHENS = """
() => [...document.body.innerText.matchAll(/(?:^|[\\s(])-\\d.{0,20}/gm)].map((found) => found[0])
"""
"""Negative numbers have a minus sign (−)."""

UNREACHED = """
() => [...document.querySelectorAll('a[href], button:enabled, select, input, summary, textarea, [tabindex="0"]')]
  .filter((e) => e.checkVisibility() && !e.dataset.reached && !(e.type === 'radio' && !e.checked))
  .map((e) => e.outerHTML.slice(0, 120))
"""

REACH = """
() => {
  const { dataset } = document.activeElement;
  const isKnown = dataset.reached;
  dataset.reached = true;
  return isKnown;
}
"""

PAPER = 703
"""Pixels of an A4 page without its margins."""


def check(tab: Tab, axe: Any, width: int, state: State) -> None:
    """Fail if axe finds a violation, something lies outside the page, or a map has no table."""
    result = axe.run(tab.page, options={"runOnly": WCAG})
    assert not result.violations_count, f"{state}: {result.generate_report()}"
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, state
    assert tab.page.evaluate(OUT_OF_REACH, width) == [], state
    assert tab.page.evaluate(MAPS_WITHOUT_TABLE) == 0, state
    assert tab.page.evaluate(HYPHENS) == [], state


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_each_view_is_accessible(chromium: Any, digits_page: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Tab(chromium, digits_page, width=width, scheme=scheme) as tab:
        for view in tab.views:
            state = State(view)
            state.enter(tab)
            check(tab, axe, width, state)


@whole_matrix
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_each_state_is_accessible(chromium: Any, digits_page: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Tab(chromium, digits_page, width=width, scheme=scheme) as tab:
        for state in states(tab):
            state.enter(tab)
            check(tab, axe, width, state)
        assert tab.errors == []


@whole_matrix
def test_nothing_is_cut_on_paper(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page) as tab:
        tab.page.emulate_media(media="print")
        tab.page.set_viewport_size({"width": PAPER, "height": 1000})
        for state in states(tab):
            state.enter(tab)
            assert tab.page.evaluate(CUT_ON_PAPER, PAPER) == [], state
            tab.page.evaluate(CLOSE)


@pytest.mark.parametrize("view", ["network", "convolution", "explanations", "backpropagation", "embedding", "replay"])
def test_the_tab_key_reaches_every_control(chromium: Any, digits_page: Path, view: str) -> None:
    with Tab(chromium, digits_page, f"#{view}") as tab:
        tab.page.evaluate(OPEN_ALL)
        tab.page.wait_for_timeout(100)
        for _ in range(600):
            tab.page.keyboard.press("Tab")
            if tab.page.evaluate(REACH):
                break
        assert tab.page.evaluate(UNREACHED) == []


@pytest.fixture(scope="module")
def one_tab(chromium: Any, digits_page: Path) -> Iterator[Tab]:
    """A tab for many tests, which set its state."""
    with Tab(chromium, digits_page) as tab:
        yield tab


OPENED = f"document.querySelectorAll('{SHOWN} details[open]').length"
OUTPUT, HEADING = (f"document.querySelector('{SHOWN} {tag}').textContent" for tag in ("output", "h3"))
LISTED = f"document.querySelectorAll('{SHOWN} .map-list tbody tr').length"


def press(tab: Tab, selector: str, *keys: str) -> None:
    """Reach an element by the tab key, as the test above shows is possible, and press keys there."""
    tab.page.locator(f"{SHOWN} {selector}").first.focus()
    for key in keys:
        tab.page.keyboard.press(key)


@pytest.mark.parametrize(
    ("address", "selector", "keys", "shown"),
    [
        ("network", ".architecture a", ["Enter"], "page.state.stage"),
        ("network?stage=1", ".map:nth-child(3)", ["Enter"], "page.state.channel"),
        ("network?stage=1", ".choice input:checked", ["ArrowRight"], "page.state.step"),
        ("network?stage=1", ".detail .cells", ["ArrowDown"], "document.getElementById('readout').textContent"),
        ("network?stage=1", ".kernels", ["ArrowRight", "Enter"], "document.querySelector('dialog h3').textContent"),
        ("network?stage=1", ".detail figcaption button", ["Enter"], "document.querySelectorAll('dialog td').length"),
        ("convolution?stage=1&step=0&row=3&column=3", ".cells[role=application]", ["ArrowDown"], "page.state.row"),
        ("convolution?stage=1&step=0", "input[type=range]", ["ArrowLeft"], OUTPUT),
        ("convolution?stage=1&step=0", "select", ["ArrowDown"], "page.state.stage"),
        ("convolution?stage=1&step=0", "summary", ["Enter"], OPENED),
        ("explanations", "select", ["Home", "ArrowUp"], HEADING),
        ("explanations", ".why-card:nth-child(2)", ["Enter"], HEADING),
        ("explanations", "input[type=range]", ["ArrowLeft"], OUTPUT),
        ("backpropagation", "[data-focus=next]", ["Enter", "Enter"], "page.state.walk"),
        ("backpropagation", ".kernel-pair .cells", ["ArrowDown"], "page.state.weight"),
        ("backpropagation?walk=-1", "input[type=range]", ["ArrowRight"], OUTPUT),
        ("embedding", ".map-list td button", ["Enter"], "page.state.point"),
        ("embedding", "input[type=search]", ["z", "z"], LISTED),
        ("replay", "input[type=range]", ["ArrowLeft"], "page.state.frame"),
    ],
)  # fmt: skip
def test_a_control_works_by_keyboard(one_tab: Tab, address: str, selector: str, keys: list[str], shown: str) -> None:
    """`shown` is an expression for what the keys should change."""
    read = f"(() => {{ try {{ return {shown}; }} catch {{ return null; }} }})()"
    State(address).enter(one_tab)
    before = one_tab.page.evaluate(read)
    press(one_tab, selector, *keys)
    assert one_tab.page.evaluate(read) != before
    assert one_tab.errors == []


def test_a_dialog_gives_the_focus_back(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#network?stage=1") as tab:
        press(tab, ".detail figcaption button", "Enter")
        assert tab.page.evaluate("document.activeElement.closest('dialog') !== null")
        tab.page.keyboard.press("Escape")
        assert tab.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("numbers of conv1")


def test_long_names_do_not_widen_the_page(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, width=360) as tab:
        for view in tab.views:
            tab.open(view)
            tab.page.evaluate(
                f"document.querySelectorAll('{SHOWN} option').forEach((e) => {{ e.textContent += 'x'.repeat(99); }})"
            )
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360, view


def test_what_scrolls_sideways_fades_out(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, width=360) as tab:
        diagram = tab.page.locator(".architecture.more-right")
        diagram.wait_for()
        diagram.evaluate("(element) => { element.scrollLeft = 9999; }")
        tab.page.locator(".architecture.more-left:not(.more-right)").wait_for()
