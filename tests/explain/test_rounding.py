"""Maps that rounding decides are marked, and float64 decides them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.explain import Explainer, attribute
from opsin.explain.attribution.disturbance import disturbed
from opsin.explain.attribution.grad_cam_plus_plus import weigh as plus_plus
from opsin.explain.attribution.hires_cam import weigh as hires
from opsin.explain.attribution.rounding import MAX_CHANGE, changes, remark
from opsin.explain.attribution.xgrad_cam import weigh as xgrad
from opsin.explain.observer import Observer
from tests.explain.networks import flattened, images, model_of

Floats = NDArray[np.float64]


def features(seed: int = 0) -> tuple[Floats, Floats]:
    """Values and gradients of a layer, 1 × 3 × 5 × 6; the values of the first channel add up to nearly zero."""
    rng = np.random.default_rng(seed)
    values, gradients = rng.normal(size=(2, 1, 3, 5, 6))
    values[0, 0] -= values[0, 0].mean() - 1e-8
    return values, gradients


def test_a_sum_that_cancels_is_noticed() -> None:
    values, gradients = features()
    maps, _ = xgrad(values, gradients)
    assert changes(xgrad, disturbed(values, gradients), maps)[0] > MAX_CHANGE
    maps, _ = hires(values, gradients)
    assert changes(hires, disturbed(values, gradients), maps)[0] < 1e-5
    values[0, 0] += 1
    maps, _ = xgrad(values, gradients)
    assert changes(xgrad, disturbed(values, gradients), maps)[0] < 1e-3


def test_the_pole_of_grad_cam_plus_plus_is_noticed() -> None:
    values, gradients = features(1)
    values[0, 1] += 1
    gradients[0, 1, 2, 3] = -2 / values[0, 1].sum() * (1 + 1e-7)  # 2 g² + Σ v · g³ is nearly zero
    gradients[0, 1] = np.abs(gradients[0, 1])
    values[0, 1] *= -1
    maps, _ = plus_plus(values, gradients)
    assert changes(plus_plus, disturbed(values, gradients), maps)[0] > MAX_CHANGE


def test_zeros_stay_and_nothing_depends_on_chance() -> None:
    values, gradients = features()
    values[0] = 0
    maps, _ = hires(values, gradients)
    assert changes(hires, disturbed(values, gradients), maps)[0] == 0
    values, gradients = features()
    maps, _ = xgrad(values, gradients)
    assert np.array_equal(
        changes(xgrad, disturbed(values, gradients), maps), changes(xgrad, disturbed(values, gradients), maps)
    )


def test_attributions_in_float64() -> None:
    model = model_of(flattened())
    pixels = images(model)
    single, double = (attribute(model, pixels, precision=precision)[0] for precision in ("float32", "float64"))
    assert single.details is not None and double.details is not None
    assert 0 < single.details["rounding"] < MAX_CHANGE
    assert "rounding" not in double.details
    np.testing.assert_allclose(single.raw, double.raw, rtol=1e-3, atol=1e-6)
    assert not np.array_equal(single.raw, double.raw)
    values = Observer(model, precision="float64").run(pixels[:1], [model.graph.outputs["logits"]])[0]
    assert values.dtype == np.float64
    assert Explainer(model).scores(pixels)[0][0].label == double.label


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(UsageError, match=r"the precision must be one of float32, float64, not .float16."):
        attribute(model_of(flattened()), images(model_of(flattened())), precision="float16")


def test_the_remark_says_how_much() -> None:
    assert "up to 0.12 of 1" in remark(0.1234)
