"""The terms of a weight's gradient, and the gradient itself, against independent computations."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.explain.backpropagation.terms import Terms
from opsin.explain.backpropagation.uses import SCALE, SHIFT
from opsin.ir import Graph
from tests.explain.backpropagation.support import NETWORKS, largest_index, trace, traced
from tests.model.test_onnx_import import classifier


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_the_reference(name: str) -> None:
    backward, step = traced(name)
    graph = Graph(backward.inputs, {n: backward.gradients[t] for n, t in backward.parameters.items()})
    program = Reference(graph, 1, np.float64)
    program.load_state({n: a for n, a in backward.model.state.items() if n in graph.variables})
    expected = program.run(**backward.arrays(step.case))
    for parameter, tensor in backward.parameters.items():
        scale = np.abs(expected[parameter]).max()
        np.testing.assert_allclose(step.gradients[tensor], expected[parameter], rtol=0, atol=2e-4 * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_terms_are_products_of_both_maps(name: str) -> None:
    backward, step = traced(name)
    terms = Terms(backward, step)
    for parameter, tensor in backward.parameters.items():
        gradient = step.gradients[tensor]
        found = terms.of(parameter, largest_index(gradient))
        assert found.uses, parameter
        assert found.plain_sum == pytest.approx(float(found.gradient), rel=1e-4, abs=1e-6)
        known = found.uses[0].order is not None
        assert known or found.uses[0].kind in (SCALE, SHIFT), parameter
        if known:
            assert found.is_exact, parameter
            assert "bit by bit" in found.sentence


def test_terms_by_hand() -> None:
    backward, step = traced("mixed")
    name, (k, c, i, j) = "wide.weight", (2, 1, 4, 0)
    (use,) = backward.uses[name]
    image, delta = step.values[use.image][0], step.gradients[use.output][0]
    expected = np.zeros(delta.shape[1:])
    for y, x in product(*map(range, expected.shape)):
        row, column = 2 * y + i - 2, 2 * x + j - 2
        if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
            expected[y, x] = float(delta[k, y, x]) * float(image[c, row, column])
    found = Terms(backward, step).of(name, (k, c, i, j))
    np.testing.assert_array_equal(found.uses[0].products, expected)
    assert found.plain_sum == pytest.approx(expected.sum())


def test_groups_read_their_own_channels() -> None:
    backward, step = traced("mixed")
    (use,) = backward.uses["groups.weight"]
    found = Terms(backward, step).of("groups.weight", (5, 1, 0, 2))
    np.testing.assert_array_equal(found.uses[0].window.image, step.values[use.image][0, 4])


def test_a_layer_used_twice_adds_the_terms_of_both_uses() -> None:
    backward, step = traced("twice")
    terms = Terms(backward, step)
    gradient = step.gradients[backward.parameters["shared.weight"]]
    found = terms.of("shared.weight", largest_index(gradient))
    first, second = (float(use.products.sum()) for use in found.uses)
    assert first and second and first + second == pytest.approx(float(found.gradient), rel=1e-5)
    assert found.is_exact


def test_an_imported_network(tmp_path: Path) -> None:
    backward, step = trace(opsin.import_onnx(classifier(4).write(tmp_path / "small.onnx")))
    terms = Terms(backward, step)
    for name, tensor in backward.parameters.items():
        found = terms.of(name, largest_index(step.gradients[tensor]))
        assert found.plain_sum == pytest.approx(float(found.gradient), rel=1e-4), name
    assert terms.of("c.weight", (3, 1, 1, 1)).is_exact


def test_unknown_weights() -> None:
    backward, step = traced("lenet5")
    terms = Terms(backward, step)
    with pytest.raises(UsageError, match=r"no parameter called 'conv9.weight'; there are conv1.weight"):
        terms.of("conv9.weight", (0,))
    with pytest.raises(UsageError, match=r"conv1.weight is 6 × 1 × 5 × 5: it has no element"):
        terms.of("conv1.weight", (6, 0, 0, 0))
