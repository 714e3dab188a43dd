"""Where a graph can be cut in two, and that the parts together mean what the whole did."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.ir import BATCH, Graph, Tensor, cut_points, input_tensor, last_static_cut_point, prefix, suffix, variable


def made() -> tuple[Graph, dict[str, Tensor]]:
    """x → a → (b, a) → c, then a learnt weight → d."""
    x = input_tensor("inputs", (BATCH, 3))
    a = ops.relu(x)
    b = ops.tanh(a)
    c = ops.add(a, b)
    d = ops.multiply(c, variable("w", (3,), trainable=True))
    return Graph((x,), {"logits": d}), {"a": a, "b": b, "c": c, "d": d}


def test_gates_are_what_everything_passes_through() -> None:
    graph, tensors = made()
    found = cut_points(graph.inputs[0], graph.outputs["logits"])
    assert found == [tensors["a"], tensors["c"], tensors["d"]]


def test_what_does_not_depend_on_the_source_has_no_gates() -> None:
    assert cut_points(input_tensor("x", (2,)), ops.relu(variable("w", (2,)))) == []


def test_a_shortcut_from_the_source_leaves_only_the_end() -> None:
    x = input_tensor("inputs", (BATCH, 3))
    total = ops.add(ops.tanh(ops.relu(x)), x)
    assert cut_points(x, total) == [total]


def test_the_settled_gate_is_the_last_before_anything_learnt() -> None:
    graph, tensors = made()
    assert last_static_cut_point(graph, "logits") is tensors["c"]


def test_what_is_updated_is_not_settled() -> None:
    x, mean = input_tensor("inputs", (BATCH,)), variable("mean", ())
    moved = ops.subtract(ops.relu(x), mean)
    graph = Graph((x,), {"logits": moved}, {"mean": ops.add(mean, 1.0)})
    gate = last_static_cut_point(graph, "logits")
    assert gate is not None and gate.node.op.name == "relu"
    assert last_static_cut_point(Graph((x,), {"logits": ops.add(x, mean)}, graph.updates), "logits") is None


def test_both_parts_together_are_the_whole() -> None:
    graph, tensors = made()
    rng = np.random.default_rng(0)
    images, w = rng.normal(size=(4, 3)), {"w": rng.normal(size=3)}
    whole, first = Reference(graph, 4), Reference(prefix(graph, tensors["c"], "features"), 4)
    second = Reference(suffix(graph, tensors["c"]), 4)
    whole.load_state(w)
    second.load_state(w)
    features = first.run(inputs=images)["features"]
    assert np.array_equal(second.run(inputs=features)["logits"], whole.run(inputs=images)["logits"])


def test_a_cut_that_something_passes_by_is_refused() -> None:
    graph, tensors = made()
    with pytest.raises(GraphError, match="something bypasses it"):
        suffix(graph, tensors["b"])
