"""Cut points of a graph; its two parts together compute what the graph does."""

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


def test_cut_points_dominate_the_output() -> None:
    graph, tensors = made()
    found = cut_points(graph.inputs[0], graph.outputs["logits"])
    assert found == [tensors["a"], tensors["c"], tensors["d"]]


def test_independent_tensors_have_no_cut_points() -> None:
    assert cut_points(input_tensor("x", (2,)), ops.relu(variable("w", (2,)))) == []


def test_a_shortcut_from_the_source_leaves_only_the_end() -> None:
    x = input_tensor("inputs", (BATCH, 3))
    total = ops.add(ops.tanh(ops.relu(x)), x)
    assert cut_points(x, total) == [total]


def test_the_last_static_cut_point_precedes_all_trainable_variables() -> None:
    graph, tensors = made()
    assert last_static_cut_point(graph, "logits") is tensors["c"]


def test_updated_variables_are_not_static() -> None:
    x, mean = input_tensor("inputs", (BATCH,)), variable("mean", ())
    moved = ops.subtract(ops.relu(x), mean)
    graph = Graph((x,), {"logits": moved}, {"mean": ops.add(mean, 1.0)})
    gate = last_static_cut_point(graph, "logits")
    assert gate is not None and gate.node.op.name == "relu"
    assert last_static_cut_point(Graph((x,), {"logits": ops.add(x, mean)}, graph.updates), "logits") is None


def test_prefix_and_suffix_compose_to_the_graph() -> None:
    graph, tensors = made()
    rng = np.random.default_rng(0)
    images, w = rng.normal(size=(4, 3)), {"w": rng.normal(size=3)}
    whole, first = Reference(graph, 4), Reference(prefix(graph, tensors["c"], "features"), 4)
    second = Reference(suffix(graph, tensors["c"]), 4)
    whole.load_state(w)
    second.load_state(w)
    features = first.run(inputs=images)["features"]
    assert np.array_equal(second.run(inputs=features)["logits"], whole.run(inputs=images)["logits"])


def test_a_cut_that_something_bypasses_is_an_error() -> None:
    graph, tensors = made()
    with pytest.raises(GraphError, match="something bypasses it"):
        suffix(graph, tensors["b"])
