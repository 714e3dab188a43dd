"""The view of backpropagation in Chromium: a walk by keyboard, the bits that it shows, access, and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.inspection.api import Inspection
from tests.inspection.browser.conftest import Tab

ADDRESS = "backpropagation?parameter=0&walk="
TIMED = """(states) => states.map((state) => {
  const start = performance.now();
  page.set(state);
  document.body.offsetHeight;
  return performance.now() - start;
})"""
"""Returns the milliseconds that each change of the state takes, layout included."""


def test_a_walk_by_keyboard(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, f"#{ADDRESS}0") as tab:
        titles = []
        tab.page.locator("[data-focus=next]").focus()
        for _ in range(14):
            titles.append(tab.page.locator(".back-panel h3").inner_text())
            tab.page.keyboard.press("ArrowRight")
        titles.append(tab.page.locator(".back-panel h3").inner_text())
        assert titles[0] == "The loss" and titles[1] == "Back through fc3: linear"
        assert titles[-3:] == ["The gradient of the weight", "Central differences", "The update"]
        tab.page.locator("[data-focus=back]").focus()
        tab.page.keyboard.press("ArrowLeft")
        assert tab.page.locator(".back-panel h3").inner_text() == "Central differences"
        assert tab.errors == []


def test_the_bits_are_the_engines(chromium: Any, digits: Inspection, digits_page: Path) -> None:
    state = digits.subject.model.state
    with Tab(chromium, digits_page, f"#{ADDRESS}-3") as tab:
        bits = tab.page.locator(".card-wide code").first.inner_text()
        title = tab.page.locator(".card-wide h3").inner_text()
        index = tuple(int(part) for part in title.partition("[")[2].rstrip("]").split(","))
        assert int(bits, 16) == state["conv1.weight"][index].view(np.uint32)
        assert tab.page.locator(".tally .good").inner_text().startswith("✓ Bit-identical.")
        tab.open(f"{ADDRESS}-1")
        for number in range(4):
            tab.page.locator(".choice input").nth(tab.page.locator(".card-wide .choice input").count() + number).check()
            assert tab.page.locator(".tally .good").inner_text().startswith("✓ Bit-identical")
        tab.page.locator("input[type=range]").focus()
        tab.page.keyboard.press("ArrowRight")
        assert "are there for η = 0.01" in tab.page.locator(".back-panel").inner_text()


def test_pointer_and_keyboard_choose_a_weight(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, f"#{ADDRESS}12") as tab:
        tab.page.locator(".kernel-pair .cells").first.click(position={"x": 5, "y": 5})
        assert tab.page.locator(".card-wide h3").inner_text().endswith("0, 0, 0]")
        tab.page.locator(".kernel-pair .cells").nth(1).focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
            tab.page.keyboard.press(key)
        assert tab.page.locator(".card-wide h3").inner_text().endswith("0, 1, 2]")


def test_steps_take_less_than_a_tenth_of_a_second(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, f"#{ADDRESS}0") as tab:
        states = [{"parameter": number, "walk": walk} for number in range(10) for walk in (0, 3, -3, -2, -1)]
        times = tab.page.evaluate(TIMED, states)
        assert sorted(times)[len(times) // 2] < 50 and max(times) < 300  # at most 100 on an idle machine


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1200, "light")])
def test_nothing_hinders_access(chromium: Any, digits_page: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Tab(chromium, digits_page, width=width, scheme=scheme) as tab:
        for parameter, walk in [(0, 1), (0, 7), (0, -3), (0, -2), (0, -1), (5, -3), (4, -3)]:
            tab.open(f"backpropagation?parameter={parameter}&walk={walk}")
            result = axe.run(tab.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            assert not result.violations_count, f"{parameter} {walk}: {result.generate_report()}"
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.errors == []
