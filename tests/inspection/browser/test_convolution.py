"""The view "Step by step" in Chromium: every step computes the engine's bits, by pointer, keyboard and slider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.inspection.api import Inspection
from tests.inspection.browser.conftest import Tab

MILLISECONDS = """
(changes) => {
  const begin = performance.now();
  page.set(changes);
  document.body.getBoundingClientRect();
  return performance.now() - begin;
}
"""
STEPS = """
() => page.subject.views.convolution.stages.flatMap(
  (steps, stage) => steps.map((step, number) => (step ? [stage, number] : null)).filter(Boolean))
"""


def test_every_step_computes_the_engines_bits(chromium: Any, digits: Inspection, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#convolution?stage=1") as tab:
        steps = tab.page.evaluate(STEPS)
        assert len(steps) == 12  # with the softmax
        for stage, step in steps:
            tab.open(f"convolution?stage={stage}&step={step}&channel=1&row=3&column=2&image=1")
            verdict = tab.page.locator(".verdict").inner_text()
            assert verdict == "✓ bit-identical", (stage, step)
        tab.open("convolution?stage=3&step=0&channel=5&row=4&column=7&image=2")
        shown = tab.page.locator(".result .number").nth(1).get_attribute("data-bits")
        engine = digits.feature_maps("conv2", 0)[2, 5, 4, 7]
        assert shown == f"{engine.view(np.uint32):08x}"
        assert tab.errors == []


def test_the_window_moves_by_keys_and_pointer(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#convolution?stage=2&channel=1&row=5&column=6") as tab:
        frame = tab.page.locator(".plot .frame").first
        assert [frame.get_attribute(name) for name in ("x", "y", "width", "height")] == ["12", "10", "2", "2"]
        tab.page.locator(".plot .cells[role=application]").focus()
        tab.page.keyboard.press("ArrowDown")
        tab.page.keyboard.press("ArrowRight")
        assert [frame.get_attribute(name) for name in ("x", "y")] == ["14", "12"]
        assert tab.page.evaluate("[page.state.row, page.state.column]") == [6, 7]
        box = tab.page.locator(".plot .cells[role=application]").bounding_box()
        assert box is not None
        tab.page.mouse.click(box["x"] + 1, box["y"] + 1)
        assert tab.page.evaluate("[page.state.row, page.state.column]") == [0, 0]


def test_terms_are_added_one_by_one(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#convolution?stage=1&step=0&channel=2&row=9&column=9") as tab:
        slider = tab.page.locator(".running input[type=range]")
        slider.focus()
        tab.page.keyboard.press("Home")
        line = tab.page.locator(".running .formula")
        assert line.inner_text() == "0"
        tab.page.keyboard.press("ArrowRight")
        tab.page.keyboard.press("ArrowRight")
        assert tab.page.locator(".cell.marked").count() == 3  # in the window, the kernel and the products
        bits = line.locator(".number").evaluate_all("(all) => all.map((each) => parseInt(each.dataset.bits, 16))")
        before, value, weight, after = np.array(bits, np.uint32).view(np.float32).astype(np.float64)
        assert after == pytest.approx(before + value * weight, rel=1e-6)
        assert tab.page.get_by_text("add them one by one").count() == 0  # Motion is reduced.
        tab.page.get_by_text("All terms as a table").click()
        tab.page.locator("details table tbody tr").first.wait_for()
        assert tab.page.locator("details table tbody tr").count() == 25
        tab.page.get_by_text("Compute all").click()
        tab.page.get_by_text("4,704 of 4,704 values are bit-identical").wait_for()


def test_padding_is_an_empty_border(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#convolution?stage=1&step=0&channel=2&row=0&column=1") as tab:
        assert tab.page.locator(".overlay .padding").count() == 1
        assert "Output, channel 2, row 0, column 1" in tab.page.locator(".plots").inner_text()
        assert "13 of them in the padding" in tab.page.locator(".operation h3").first.inner_text()
        assert tab.page.locator(".grid").first.locator(".cell.empty").count() == 13


def test_it_answers_at_once(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#convolution?stage=1") as tab:
        for changes in ({"row": 7}, {"channel": 3}, {"stage": 5, "step": 1, "channel": 4}, {"step": 2}, {"image": 2}):
            back = tab.page.evaluate("({...page.state})")
            times = []
            for _ in range(3):  # The machine may be busy; the fastest counts.
                times.append(tab.page.evaluate(MILLISECONDS, changes))
                tab.page.evaluate("(state) => page.set(state)", back)
            assert min(times) <= 100, changes
            tab.page.evaluate("(changes) => page.set(changes)", changes)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_nothing_hinders_access(chromium: Any, digits_page: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    with Tab(chromium, digits_page, "#convolution?stage=1", width=width, scheme=scheme) as tab:
        for stage, step in ((1, 0), (1, 1), (2, 0), (3, 0), (5, 1), (7, 1), (0, 0)):
            tab.open(f"convolution?stage={stage}&step={step}&channel=1&row=0&column=2")
            tab.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            result = axe.run(tab.page, options={"runOnly": rules})
            assert not result.violations_count, f"{stage}, {step}: {result.generate_report()}"
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, (stage, step)
