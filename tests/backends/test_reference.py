"""The reference engine's promises: state, updates, copies, precision, and checked inputs."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.base import Program
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError, ShapeError
from opsin.ir import BATCH, INT, Graph, input_tensor, variable
from tests.support import Array


def counting_graph() -> Graph:
    """x N × 3 → y = x · w, w 3; w grows by the mean of x over the batch, steps by one."""
    x = input_tensor("x", (BATCH, 3))
    w, steps = variable("w", (3,), trainable=True), variable("steps", (), INT)
    updates = {"w": ops.add(w, ops.mean(x, 0)), "steps": ops.add(steps, 1)}
    return Graph((x,), {"y": ops.multiply(x, w), "again": x}, updates).verify()


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_run_uses_the_old_state_and_then_updates_it(precision: type) -> None:
    program: Program = Reference(counting_graph(), 2, precision)
    assert program.batch == 2
    assert program.graph.outputs["y"].shape == (2, 3)
    assert {name: value.tolist() for name, value in program.state().items()} == {"w": [0, 0, 0], "steps": 0}
    program.load_state({"w": [1, 2, 3]})
    assert program.run(x=X)["y"].tolist() == [[0, 2, 6], [3, 8, 15]]
    state = program.state()
    assert (state["w"].tolist(), state["steps"].tolist()) == ([2.5, 4.5, 6.5], 1)
    assert (state["w"].dtype, state["steps"].dtype) == (np.dtype(precision), np.dtype(np.int32))
    assert program.run(x=X)["y"].dtype == precision
    assert program.state()["steps"] == 2


def test_what_it_gives_and_takes_are_copies() -> None:
    program = Reference(counting_graph(), 2)
    weight, x = np.ones(3, np.float32), X.astype(np.float32)
    program.load_state({"w": weight})
    weight[:] = 9
    program.state()["w"][:] = 9
    assert program.state()["w"].tolist() == [1, 1, 1]
    program.run(x=x)["again"][:] = 9
    assert np.array_equal(x, X)


def test_the_trace_shows_every_node_and_changes_nothing() -> None:
    program = Reference(counting_graph(), 2)
    seen: list[Array] = []
    for node, values in program.trace_values(x=X):
        assert [value.shape for value in values] == [t.shape for t in node.outputs]
        seen.extend(values)
    assert len(seen) == len(program.graph.nodes)
    assert program.state()["steps"] == 0


def test_the_trace_finds_the_first_value_that_is_not_finite() -> None:
    x = input_tensor("x", (2,))
    graph = Graph((x,), {"y": ops.exp(ops.subtract(ops.log(ops.multiply(x, 2.0)), 1.0))})
    trace = Reference(graph, 1).trace_values(x=[1.0, -1.0])
    first = next(node for node, values in trace if not all(np.all(np.isfinite(v)) for v in values))
    assert first.op.name == "log"


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "the graph's inputs are 'x'; missing: 'x'"),
        ({"x": X, "z": X}, "the graph's inputs are 'x'; unknown: 'z'"),
        ({"z": X}, "the graph's inputs are 'x'; unknown: 'z'; missing: 'x'"),
        ({"x": X[:1]}, "input 'x': expected 2 × 3, got 1 × 3"),
        ({"x": 1.0}, "input 'x': expected 2 × 3, got scalar"),
        ({"x": X.astype(str)}, "input 'x': expected real numbers, got <U32"),
    ],
)
def test_inputs_are_checked(inputs: dict[str, Array], text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Reference(counting_graph(), 2).run(**inputs)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"v": X}, "the graph's variables are 'w', 'steps'; unknown: 'v'"),
        ({"w": X}, "variable 'w': expected 3, got 2 × 3"),
        ({"steps": 1.5}, "variable 'steps': expected whole numbers, got float64"),
    ],
)
def test_state_is_checked(values: dict[str, Array], text: str) -> None:
    program = Reference(counting_graph(), 2)
    before = program.state()
    with pytest.raises(ShapeError) as caught:
        program.load_state({"w": np.ones(3)} | values if "w" not in values else values)
    assert str(caught.value) == text
    assert np.array_equal(program.state()["w"], before["w"]), "nothing is loaded where anything is wrong"


def test_labels_of_any_whole_type_fit() -> None:
    labels = input_tensor("labels", (BATCH,), INT)
    program = Reference(Graph((labels,), {"y": ops.one_hot(labels, 3)}), 2)
    for dtype in (np.uint8, np.int64, np.int32):
        assert program.run(labels=np.array([2, 0], dtype))["y"].tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_batch_holds_at_least_one_image() -> None:
    with pytest.raises(GraphError, match="a batch holds at least one image, not 0"):
        Reference(counting_graph(), 0)


def test_values_that_are_not_numbers_pass_without_a_warning() -> None:
    x = input_tensor("x", (3,))
    graph = Graph((x,), {"y": ops.divide(ops.log(x), x)})
    assert np.isnan(Reference(graph, 1).run(x=[-1.0, 0.0, np.nan])["y"][[0, 2]]).all()
