"""Backpropagation between graphs: the nodes that it creates, and those that it must not."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.ir import BATCH, FLOAT, INT, Graph, Node, Op, Tensor, Type, backprop, input_tensor


def run(outputs: dict[str, Tensor | None], **inputs: object) -> dict[str, object]:
    known = {name: t for name, t in outputs.items() if t is not None}
    names = {node.attrs["name"]: node.output for t in known.values() for node in Graph((), {"t": t}).nodes
             if node.op.name == "input"}  # fmt: skip
    values = {name: inputs[name] for name in names}
    found = Reference(Graph(tuple(names.values()), known), 1, np.float64).run(**values)  # type: ignore[arg-type]
    return {name: value.tolist() for name, value in found.items()}


def test_contributions_of_several_users_are_added() -> None:
    """d/dx (x² + 3x + e^x) at 2."""
    x = input_tensor("x", ())
    loss = ops.add(ops.add(ops.square(x), ops.multiply(x, 3.0)), ops.exp(x))
    (gradient,) = ops.gradients(loss, [x])
    assert run({"d": gradient}, x=2.0)["d"] == pytest.approx(7 + np.exp(2.0), rel=1e-15)


def test_tensors_that_the_loss_does_not_depend_on_have_no_gradient() -> None:
    x, other, labels = input_tensor("x", ()), input_tensor("other", ()), input_tensor("labels", (), INT)
    loss = ops.add(ops.multiply(x, x), ops.cast(labels))
    gradient, *none = ops.gradients(loss, [x, other, labels])
    assert gradient is not None
    assert none == [None, None]


def test_unneeded_gradients_create_no_nodes() -> None:
    """Of a chain of two convolutions, only the second one's weight: no gradient flows into the first."""
    x, w1, w2 = (input_tensor(name, (2, 2, 3, 3)) for name in ("x", "w1", "w2"))
    hidden = ops.conv2d(x, w1, padding=1)
    loss = ops.sum(ops.conv2d(hidden, w2, padding=1))
    (gradient,) = ops.gradients(loss, [w2])
    assert gradient is not None
    made = [node.op.name for node in Graph((x, w1, w2), {"d": gradient}).nodes]
    assert made.count("conv2d_weight") == 1
    assert "conv_transpose2d" not in made


def test_gradients_for_inner_tensors_and_for_the_loss_itself() -> None:
    x = input_tensor("x", ())
    middle = ops.square(x)
    loss = ops.multiply(middle, 5.0)
    by_x, by_middle, by_loss = ops.gradients(loss, [x, middle, loss])
    assert run({"x": by_x, "middle": by_middle, "loss": by_loss}, x=3.0) == {"x": 30, "middle": 5, "loss": 1}


def test_a_gradient_can_be_differentiated_again() -> None:
    """d²/dx² tanh(x) = -2 tanh(x) (1 - tanh²(x))."""
    x = input_tensor("x", ())
    (first,) = ops.gradients(ops.tanh(x), [x])
    assert first is not None
    (second,) = ops.gradients(first, [x])
    t = np.tanh(0.4)
    assert run({"d": second}, x=0.4)["d"] == pytest.approx(-2 * t * (1 - t * t), rel=1e-14)


def test_the_second_gradient_of_a_convolution() -> None:
    """For f = Σ (x * w)² / 2, the gradient by x of ⟨df/dw, v⟩ against central differences."""
    rng = np.random.default_rng(3)
    x, w, v = input_tensor("x", (2, 3, 5, 4)), input_tensor("w", (4, 3, 3, 2)), input_tensor("v", (4, 3, 3, 2))
    loss = ops.multiply(ops.sum(ops.square(ops.conv2d(x, w, stride=(2, 1), padding=1))), 0.5)
    (by_w,) = ops.gradients(loss, [w])
    assert by_w is not None
    along = ops.sum(ops.multiply(by_w, v))
    (second,) = ops.gradients(along, [x])
    assert second is not None
    program = Reference(Graph((x, w, v), {"along": along, "second": second}).verify(), 1, np.float64)
    point = {t.node.attrs["name"]: rng.standard_normal(t.shape) for t in (x, w, v)}  # type: ignore[arg-type]
    way = rng.standard_normal((2, 3, 5, 4))
    ends = [program.run(**point | {"x": point["x"] + sign * 1e-5 * way})["along"] for sign in (1, -1)]
    slope = float(np.sum(program.run(**point)["second"] * way))
    assert float(ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-8)


def test_the_seed_must_have_the_shape_of_the_loss() -> None:
    x = input_tensor("x", (BATCH,))
    with pytest.raises(GraphError, match="the seed gradient is scalar, the loss N"):
        backprop(x, [x], ops.constant(1.0), ops.add)


class Halves(Op):
    """Two outputs; its gradient is wrong in shape."""

    name = "halves"

    def infer(self, x: Type) -> tuple[Type, ...]:
        return Type((), FLOAT), Type((), FLOAT)

    def gradient(self, node: Node, *grads: Tensor) -> tuple[Tensor, ...]:
        return (grads[0],)


def test_errors_name_the_operation_with_a_wrong_gradient() -> None:
    x = input_tensor("x", (2,))
    first, second = Halves()(x).outputs
    with pytest.raises(GraphError, match="every output of an operation with several must reach the loss"):
        ops.gradients(first, [x])
    with pytest.raises(GraphError, match="gradient is scalar for an operand of 2"):
        ops.gradients(ops.add(first, second), [x])
    with pytest.raises(NotImplementedError, match="plain has no gradient"):
        type("Plain", (Op,), {"name": "plain"})().gradient(x.node)
