"""Central differences in float64 against backpropagation in float32."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.explain.backpropagation.differences import Differences
from tests.explain.backpropagation.support import NETWORKS, largest_index, model_of, trace, traced


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "resnet20"])
def test_both_agree_within_a_thousandth(name: str) -> None:
    backward, step = traced(name)
    differences = Differences(backward, step.case)
    assert differences.loss == pytest.approx(float(step.loss), rel=1e-5)
    for parameter, tensor in backward.parameters.items():
        gradient = step.gradients[tensor]
        index = largest_index(gradient)
        found = differences.of(parameter, index)
        assert found.gradient == pytest.approx(float(gradient[index]), rel=1e-3), parameter
        assert "kink" not in found.sentence(float(gradient[index]))


def test_a_kink_is_named() -> None:
    network = nn.Sequential(("a", nn.Linear(1)), ("r", nn.ReLU()), ("b", nn.Linear(2)))
    model = model_of(nn.Sequential(("f", nn.Flatten()), ("n", network)), (1, 1, 1), 2)
    model.state["n.a.weight"][:] = 0
    model.state["n.a.bias"][:] = 0
    backward, step = trace(model)
    found = Differences(backward, step.case).of("n.a.bias", (0,))
    assert found.flips == 1
    assert "near a kink" in found.sentence(float(step.gradients[backward.parameters["n.a.bias"]][0]))
    assert np.isfinite(found.gradient)
