"""Graphs as data and back, and data that is no graph."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.ir import BATCH, Graph, input_tensor, variable
from opsin.ir.serialization import from_data, to_data
from opsin.ops import OPS
from tests.support import cases, forward_graph, generator


def through_json(graph: Graph) -> Graph:
    return from_data(json.loads(json.dumps(to_data(graph), allow_nan=False)), OPS.get)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operation_round_trips(name: str) -> None:
    for sample in cases(name, generator("serial", name), 3):
        graph = forward_graph(name, sample)
        assert str(through_json(graph)) == str(graph)


def test_a_training_step_round_trips_and_computes_the_same() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3), nn.BatchNorm2d(), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(4))
    graph = nn.training_graph(network, (2, 6, 5), nn.optimizers.AdamW(weight_decay=0.1))
    again = through_json(graph)
    assert str(again) == str(graph)
    rng = np.random.default_rng(0)
    inputs = {"inputs": rng.normal(size=(3, 2, 6, 5)), "labels": [0, 3, 1], "learning_rate": 0.1}
    states = []
    for each in (graph, again):
        engine = Reference(each, 3)
        engine.load_state(nn.initial_state(each, 7))
        engine.run(**inputs)
        states.append(engine.state())
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_sizes_and_special_numbers_round_trip() -> None:
    x = input_tensor("x", (BATCH, 6))
    y = ops.reshape(x, (BATCH * 2, 3))
    z = ops.multiply(ops.mean(y), ops.constant((BATCH * 18).inverse()))
    graph = Graph((x,), {"z": z, "infinite": ops.add(z, ops.constant(float("-inf")))})
    assert str(through_json(graph)) == str(graph)


def example() -> dict[str, Any]:
    x = input_tensor("x", (BATCH, 4))
    w = variable("w", (2, 4), init=("uniform", 0.5), trainable=True)
    return to_data(Graph((x,), {"y": ops.matmul(x, w, transpose_b=True)}))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d["nodes"][2].update(op="exec"), "there is no operation called 'exec'"),
        (lambda d: d["nodes"][2].update(inputs=[0, 2]), "uses tensor 2 before it is computed"),
        (lambda d: d["nodes"][2].update(inputs=[0, -1]), "uses tensor -1 before it is computed"),
        (lambda d: d["nodes"][2].update(inputs=[0]), "describes no graph"),
        (lambda d: d["nodes"][2].pop("attrs"), "describes no graph"),
        (lambda d: d["nodes"][2].update(scope=3), "a layer's name must be text"),
        (lambda d: d["nodes"][2]["attrs"].update(surprise=1), "describes no graph"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(shape=[2, 5]), "5"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(shape=[2, 4.0]), "a size must be a whole number, not 4.0"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(shape=[2, -4]), "negative"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(shape=[2**40, 4]), "larger than any network needs"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(shape=[1] * 99), "larger than any network needs"),
        (lambda d: d["nodes"][1]["attrs"]["type"].update(dtype="object"), "there is no dtype 'object'"),
        (lambda d: d["nodes"][1]["attrs"].update(type="float"), "describes no graph"),
        (lambda d: d["nodes"][1]["attrs"].update(name="x"), "two different tensors are called 'x'"),
        (lambda d: d["nodes"][1]["attrs"].update(name=7), "has no name"),
        (lambda d: d["nodes"][0]["attrs"]["type"].update(shape=[{"size": [1, 1, 999]}, 4]), "is no size"),
        (lambda d: d["nodes"][0]["attrs"]["type"].update(shape=[{"size": [1, 0, 1]}, 4]), "describes no graph"),
        (lambda d: d.update(outputs={"y": 9}), "uses tensor 9 before it is computed"),
        (lambda d: d.update(inputs=[]), "input 'x' is used but not declared"),
        (lambda d: d.update(updates={"v": 1}), "'v' is updated but never used"),
        (lambda d: d.update(nodes=None), "describes no graph"),
    ],
)
def test_invalid_data_is_an_error(change: Any, text: str) -> None:
    data = copy.deepcopy(example())
    change(data)
    with pytest.raises(GraphError, match=text):
        from_data(data, OPS.get)


@pytest.mark.parametrize("data", [None, [], "graph", 3, {"nodes": []}])
def test_values_of_wrong_types_are_errors(data: Any) -> None:
    with pytest.raises(GraphError, match="describes no graph"):
        from_data(data, OPS.get)


def test_attributes_that_cannot_be_written() -> None:
    x = input_tensor("x", (2,))
    x.node.attrs["odd"] = Fraction(1, 2)
    with pytest.raises(GraphError, match="an attribute of type Fraction cannot be written to a file"):
        to_data(Graph((x,), {"x": x}))
