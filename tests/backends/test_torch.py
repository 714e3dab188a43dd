"""Every operation in PyTorch against its definition, and the engine's own promises."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import CompileError, ShapeError
from opsin.ir import BATCH, Graph, Op, Type, input_tensor, variable
from opsin.ops import OPS
from tests.support import QUANTIZED, cases, feed, forward_graph, generator, relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
engine = pytest.importorskip("opsin.backends.torch", reason="the engine needs PyTorch")
torch.set_num_threads(1)

COUNT = 60


def test_it_knows_every_operation_on_real_numbers() -> None:
    assert set(engine.IMPLEMENTATIONS) == set(OPS) - set(QUANTIZED)


@pytest.mark.parametrize("name", sorted(set(OPS) - set(QUANTIZED)))
def test_every_operation_agrees_with_its_definition(name: str) -> None:
    for sample in cases(name, generator("torch", name), 20 if "3d" in name else COUNT):
        graph = forward_graph(name, sample)
        found = engine.Torch(graph, 1, dtype=torch.float64).run(**feed(sample.inputs))["y"]
        expected = Reference(graph, 1, np.float64).run(**feed(sample.inputs))["y"]
        assert found.dtype == expected.dtype
        assert relative_error(found, expected) < 1e-12, sample.attrs


def test_a_run_uses_the_old_state_and_then_updates_it() -> None:
    x = input_tensor("x", (BATCH, 3))
    w = variable("w", (3,), trainable=True)
    graph = Graph((x,), {"y": ops.multiply(x, w)}, {"w": ops.add(w, ops.mean(x, 0))})
    program, weight = engine.Torch(graph, 2), np.ones(3, np.float32)
    program.load_state({"w": weight})
    weight[:] = 9
    images = np.arange(6.0).reshape(2, 3)
    assert program.run(x=images)["y"].tolist() == images.tolist()
    assert program.state()["w"].tolist() == [2.5, 3.5, 4.5]
    program.state()["w"][:] = 9
    assert program.run(x=images)["y"].dtype == np.float32
    assert program.state()["w"].tolist() == [4, 6, 8]


def test_the_trace_shows_every_node_and_changes_nothing() -> None:
    w = variable("w", (2,))
    program = engine.Torch(Graph((), {"y": ops.exp(w)}, {"w": ops.add(w, 1.0)}), 1)
    assert [(node.op.name, value.tolist()) for node, (value,) in program.trace_values()] == [
        ("variable", [0, 0]),
        ("exp", [1, 1]),
        ("constant", 1),
        ("add", [1, 1]),
    ]
    assert program.state()["w"].tolist() == [0, 0]


def test_inputs_are_checked() -> None:
    x = input_tensor("x", (BATCH, 3))
    with pytest.raises(ShapeError, match="input 'x': expected 2 × 3, got 1 × 3"):
        engine.Torch(Graph((x,), {"x": x}), 2).run(x=np.ones((1, 3)))


def test_an_unknown_operation_is_named() -> None:
    class Fold(Op):
        name = "fold"

        def infer(self, *types: Type, **attrs: object) -> Type:
            return types[0]

    x = input_tensor("x", (3,))
    with pytest.raises(CompileError, match="the torch engine does not implement: fold"):
        engine.Torch(Graph((x,), {"y": Fold()(x).output}), 1)
