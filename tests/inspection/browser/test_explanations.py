"""The explanations in Chromium: the overlay, the choices, and access in every state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.explain import METHODS, Explainer
from opsin.inspection.api import Inspection
from tests.inspection.browser.conftest import Tab

READ = """(canvas) => [canvas.height, canvas.width,
  Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)]"""


def cover(tab: Tab) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The image under the chosen map, height × width × 3."""
    height, width, values = tab.page.locator(".why-main .why-cover canvas").evaluate(READ)
    return np.array(values).reshape(height, width, 4)[..., :3]


def strength(tab: Tab, value: int) -> None:
    slider = tab.page.locator(".why-main input[type=range]")
    slider.evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value))


def test_the_overlay_is_the_image_and_the_map(chromium: Any, digits: Inspection, digits_page: Path) -> None:
    subject = digits.subject
    pixels = subject.images[0].pixels
    explainer = Explainer(subject.model)
    scores = explainer.scores(pixels[None], subject.images[0].label)[0]
    with Tab(chromium, digits_page, "#explanations") as tab:
        for name, method in METHODS.items():
            tab.page.get_by_role("button", name=method.title).first.click()
            result = explainer.explain(pixels[None], scores, [name])[name][0]
            strength(tab, 0)
            assert (cover(tab) == pixels.transpose(1, 2, 0)).all()
            strength(tab, 100)
            changed = np.abs(cover(tab) - pixels.transpose(1, 2, 0)).max(axis=2) > 12
            assert changed[result.display > 0.4].mean() > 0.9, name
            assert not changed[result.display < 1e-6].any(), name
        assert tab.errors == []


def test_answers_methods_and_layers_can_be_chosen(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#explanations") as tab:
        lists = tab.page.locator(".why-bar select")
        tab.page.get_by_role("radio").nth(1).check(force=True)
        lists.first.select_option("hires-cam")
        assert tab.page.locator(".why-main h3").first.inner_text().startswith("HiResCAM of")
        lists.nth(1).select_option("1")
        assert "first answer and the first layer" in tab.page.locator(".why-main").inner_text()
        tab.open("explanations?image=1")
        assert tab.page.locator(".why-main .why-cover").count() == 1
        assert tab.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hinders_access_in_any_state(chromium: Any, digits_page: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Tab(chromium, digits_page, "#explanations", width=360, scheme=scheme) as tab:
        for name in ("grad-cam", "integrated-gradients"):
            tab.page.locator(".why-bar select").first.select_option(name)
            for summary in tab.page.locator(".why-main summary").all():
                summary.click()
            result = axe.run(tab.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            assert not result.violations_count, result.generate_report()
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
