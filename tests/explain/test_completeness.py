"""Maps that add up: HiResCAM to the logit without its bias, integrated gradients to the difference of two logits."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.explain import Explainer
from tests.explain.networks import flattened, images, model_of, pooled


def test_hires_cam_adds_up_to_the_logit_without_its_bias() -> None:
    model = model_of(pooled(channels=24))
    pixels, explainer = images(model, 3), Explainer(model)
    for number, label in enumerate(model.labels):
        scores = [each[0] for each in explainer.scores(pixels, label)]
        logits = explainer.observer.outputs(pixels)["logits"][:, number].astype(np.float64)
        for result, logit in zip(explainer.explain(pixels, scores, ["hires-cam"])["hires-cam"], logits, strict=True):
            assert result.score == pytest.approx(logit, rel=1e-6)
            assert result.raw.sum() == pytest.approx(logit - model.state["fc.bias"][number], rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_integrated_gradients_add_up_to_the_difference(seed: int) -> None:
    model = model_of(flattened(channels=16), seed=seed)
    pixels, explainer = images(model, 1, seed), Explainer(model)
    scores = explainer.scores(pixels)[0]
    result = explainer.explain(pixels, scores, ["integrated-gradients"])["integrated-gradients"][0]
    inputs = model.preprocessing.apply(pixels)
    ends = explainer.observer.run_inputs(np.concatenate([inputs, 0 * inputs]), [model.graph.outputs["logits"]])[0]
    number = model.labels.index(result.label)
    difference = float(ends[0, number]) - float(ends[1, number])
    assert result.raw.sum() == pytest.approx(difference, rel=0.01)
    assert result.details is not None
    assert result.details["gap"] <= 0.01
    assert result.details["baseline_score"] == pytest.approx(float(ends[1, number]), rel=1e-5)


def test_integrated_gradients_of_a_linear_network_are_exact() -> None:
    """The gradient is then the same everywhere: each pixel's share is its weight times its value."""
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(4))), (1, 4, 5))
    pixels, explainer = images(model), Explainer(model)
    result = explainer.explain(pixels, explainer.scores(pixels, "eel")[0], ["integrated-gradients"])
    weights = model.state["fc.weight"][2].reshape(4, 5)
    expected = weights * model.preprocessing.apply(pixels)[0, 0]
    np.testing.assert_allclose(result["integrated-gradients"][0].raw, expected, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_a_linear_network_is_its_weight() -> None:
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(4))), (3, 4, 5))
    pixels, explainer = images(model), Explainer(model)
    result = explainer.explain(pixels, explainer.scores(pixels, "fox")[0], ["gradient"])["gradient"][0]
    expected = np.abs(model.state["fc.weight"][3].reshape(3, 4, 5)).max(axis=0)
    np.testing.assert_allclose(result.raw, expected, rtol=1e-6)
    assert result.layer is None


def test_occlusion_is_the_fall_of_the_score() -> None:
    """In a linear network, covering pixels removes their shares; windows are centred on places and cut at edges."""
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(4))), (1, 9, 8))
    pixels, explainer = images(model), Explainer(model)
    result = explainer.explain(pixels, explainer.scores(pixels, "cat")[0], ["occlusion"])["occlusion"][0]
    shares = model.state["fc.weight"][0].reshape(9, 8) * model.preprocessing.apply(pixels)[0, 0]
    assert result.raw.shape == (9, 8)
    for row, column in ((0, 0), (4, 4), (8, 7), (2, 6)):
        window = shares[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        assert result.raw[row, column] == pytest.approx(window.sum(), rel=1e-4, abs=1e-5)
