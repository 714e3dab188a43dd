"""At a kink of a function, the gradient is the documented one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.ir import Tensor
from tests.support import Array, backward_graph, feed, symbolic


def gradients(function: Callable[..., Tensor], *arrays: Array) -> list[Array]:
    """The gradients of the sum of `function` by each of the arrays."""
    inputs = symbolic(arrays)
    graph = backward_graph(inputs, function(*inputs), range(len(arrays)))
    found = Reference(graph, 1, np.float64).run(**feed(arrays), g=np.ones(graph.outputs["y"].shape))
    return [found[f"d{i}"] for i in range(len(arrays))]


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (ops.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
        (ops.absolute, [-1.0, 0.0, 2.0], [-1, 0, 1]),
        (ops.sqrt, [0.0, 0.25], [0, 1]),
        (ops.relu6, [0.0, 3.0, 6.0, 7.0], [0, 1, 0, 0]),
        (lambda x: ops.leaky_relu(x, 0.1), [-1.0, 0.0, 1.0], [0.1, 0.1, 1]),
        (lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 1, 1, 1, 0]),
        (ops.max, [3.0, 1.0, 3.0], [0.5, 0, 0.5]),
        (lambda x: ops.multiply(ops.stop_gradient(x), x), [3.0, 5.0], [3, 5]),
        (lambda x: ops.where(x, x, 1.0), [0.0, 2.0], [0, 1]),
    ],
)
def test_gradient_at_a_kink(function: Callable[[Tensor], Tensor], x: list[float], expected: list[float]) -> None:
    assert gradients(function, np.array(x))[0].tolist() == expected


@pytest.mark.parametrize("function", [ops.maximum, ops.minimum])
def test_of_equal_numbers_the_first_gets_the_gradient(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    first, second = gradients(function, np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    assert (first.tolist(), second.tolist()) == ([1, 1], [0, 0])


def test_max_pooling_passes_the_gradient_to_the_first_maximum() -> None:
    x = np.array([[[[0.0, 5, 5], [5, 1, 0], [0, 0, 0]]]])
    (gradient,) = gradients(lambda x: ops.max_pool2d(x, 2, 1), x)
    assert gradient[0, 0].tolist() == [[0, 2, 0], [1, 1, 0], [0, 0, 0]]


def test_l2_pooling_of_zeros_has_a_zero_gradient() -> None:
    (gradient,) = gradients(lambda x: ops.l2_pool2d(x, 2), np.zeros((1, 1, 4, 4)))
    assert np.array_equal(gradient, np.zeros((1, 1, 4, 4)))


def test_softmax_and_its_logarithm_do_not_overflow() -> None:
    x = np.array([[1000.0, 0.0], [-1000.0, 1000.0]])
    (logits,) = symbolic([x])
    for function, expected in ((ops.softmax, [[1, 0], [0, 1]]), (ops.log_softmax, [[0, -1000], [-2000, 0]])):
        graph = backward_graph((logits,), function(logits), [0])
        found = Reference(graph, 1, np.float32).run(x0=x, g=np.ones((2, 2)))
        assert found["y"].tolist() == expected
        assert np.all(np.isfinite(found["d0"]))


def test_sigmoid_does_not_overflow() -> None:
    y = ops.OPS["sigmoid"].evaluate(np.array([-1000.0, -20.0, 0.0, 1000.0], np.float32))
    assert y.tolist() == pytest.approx([0, np.exp(-20.0), 0.5, 1], rel=1e-6)


def test_dropout_scales_numbers_and_gradients() -> None:
    x = np.full((40, 50), 3.0)

    def function(x: Tensor) -> Tensor:
        seed, step = ops.constant(7, "int"), ops.constant(1, "int")
        return ops.dropout(x, 0.8, seed, step, site=0)

    inputs = symbolic([x])
    graph = backward_graph(inputs, function(*inputs), [0])
    found = Reference(graph, 1, np.float64).run(x0=x, g=np.ones_like(x))
    kept = found["y"] != 0
    assert 0.7 < kept.mean() < 0.9
    assert np.allclose(found["y"], np.where(kept, 3 / 0.8, 0))
    assert np.allclose(found["d0"], np.where(kept, 1 / 0.8, 0))


def test_dropout_with_probability_zero_is_the_identity() -> None:
    (x,) = symbolic([np.ones(3)])
    assert ops.dropout(x, 1.0, ops.constant(1, "int"), ops.constant(1, "int"), site=0) is x
