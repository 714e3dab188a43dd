"""Cut points of a graph; its two parts together compute what the graph does."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.ir import (
    BATCH,
    Graph,
    Tensor,
    cut_points,
    input_tensor,
    last_static_cut_point,
    prefix,
    split,
    static_taps,
    suffix,
    variable,
)


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


def ladder() -> tuple[Graph, dict[str, Tensor]]:
    """A fixed trunk that is read at two depths; one of them is doubled, and joined with the other, without weights."""
    x = input_tensor("inputs", (BATCH, 3))
    a = ops.multiply(x, variable("fixed", (3,), trainable=False))
    b = ops.tanh(ops.matmul(a, variable("deep", (3, 2), trainable=False)))
    joined = ops.concat([a, b, b], axis=1)
    learned = ops.multiply(joined, variable("w", (7,), trainable=True))
    other = ops.multiply(a, variable("v", (3,), trainable=True))
    constant = ops.relu(variable("grid", (3,), trainable=False))
    return Graph((x,), {"logits": learned, "other": ops.add(other, constant)}), {"a": a, "b": b}


def test_taps_are_all_places_at_which_the_fixed_part_is_read() -> None:
    graph, tensors = ladder()
    assert static_taps(graph) == [tensors["a"], tensors["b"]], "b is not stored twice, and no constant is"


def test_both_parts_of_a_split_compute_the_graph() -> None:
    rng, (graph, _) = np.random.default_rng(0), ladder()
    lower, upper = split(graph, static_taps(graph), ["inputs", "tap1"])
    assert list(lower.outputs) == ["inputs", "tap1"] and not lower.parameters.keys() & {"w", "v"}
    assert [t.node.attrs["name"] for t in upper.inputs] == ["inputs", "tap1"]
    state = {name: rng.normal(size=[int(str(s)) for s in t.shape]) for name, t in graph.variables.items()}

    def outputs(part: Graph, **inputs: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> dict[str, object]:
        program = Reference(part, 4)
        program.load_state({name: state[name] for name in part.variables})
        return dict(program.run(**inputs))

    images = rng.normal(size=(4, 3))
    taps = outputs(lower, inputs=images)
    expected, composed = outputs(graph, inputs=images), outputs(upper, **taps)  # type: ignore[arg-type]
    for name in graph.outputs:
        assert np.array_equal(expected[name], composed[name])  # type: ignore[arg-type]


def test_what_bypasses_a_split_is_refused() -> None:
    graph, tensors = ladder()
    with pytest.raises(GraphError, match="something bypasses them"):
        split(graph, [tensors["b"]], ["inputs"])


def test_a_graph_that_learns_from_the_start_has_no_taps() -> None:
    x = input_tensor("inputs", (BATCH, 3))
    graph = Graph((x,), {"logits": ops.multiply(x, variable("w", (3,), trainable=True))})
    assert static_taps(graph) == []
