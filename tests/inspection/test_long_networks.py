"""Networks of thousands of steps: what the page shows of them is spread evenly, and what is missing is said."""

from __future__ import annotations

import pytest

import opsin
from opsin.inspection.spread import evenly
from opsin.inspection.views.backpropagation import checks, walk
from opsin.inspection.views.backpropagation import view as backpropagation
from opsin.inspection.views.convolution import view as convolution
from tests.explain.networks import images, model_of, pooled


@pytest.mark.parametrize(("count", "most", "expected"), [(0, 3, []), (2, 3, [0, 1]), (9, 3, [0, 4, 8])])
def test_few_of_many_are_spread_evenly(count: int, most: int, expected: list[int]) -> None:
    assert evenly(count, most) == expected


def test_a_page_of_a_long_network_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "MAX_STEPS", 3)
    monkeypatch.setattr(walk, "MAX_DETAILED", 2)
    monkeypatch.setattr(backpropagation, "MAX_DETAILED", 2)
    monkeypatch.setattr(checks, "MAX_REFERENCE_MACS", 0)
    model = model_of(pooled())
    page = opsin.see(model, images(model)).page
    steps = [step for stage in page.views["convolution"]["stages"] for step in stage if step]
    assert len(steps) == 3 and "no arithmetic of" in page.views["convolution"]["left_out"]
    (image,) = page.views["backpropagation"]["images"]
    detailed = [step for step in image["steps"] if step["lines"]]
    assert len(detailed) <= 2 < len(image["steps"])
    assert all(not parameter["differences"] for parameter in image["parameters"])
    assert "worked examples of 2 of" in page.views["backpropagation"]["left_out"]
    assert "without central differences" in page.views["backpropagation"]["left_out"]
