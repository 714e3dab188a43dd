"""Layers for clips against PyTorch's, and a training step of them, natively."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from tests.nn.support import Of, forward
from tests.support import relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")

PAIRS: dict[str, tuple[nn.Layer, Callable[[Any], Any]]] = {
    "conv": (nn.Conv3d(5, 3), lambda t: t.Conv3d(4, 5, 3)),
    "conv, everything": (
        nn.Conv3d(6, (2, 3, 1), (2, 1, 2), (1, 2, 0), (1, 2, 1), 2, False),
        lambda t: t.Conv3d(4, 6, (2, 3, 1), (2, 1, 2), (1, 2, 0), (1, 2, 1), 2, False),
    ),
    "max pool": (nn.MaxPool3d((3, 2, 3), 2, 1, True), lambda t: t.MaxPool3d((3, 2, 3), 2, 1, ceil_mode=True)),
    "max pool of frames": (nn.MaxPool3d((1, 2, 2)), lambda t: t.MaxPool3d((1, 2, 2))),
    "average pool": (nn.AvgPool3d(3, 2, 1, True, False), lambda t: t.AvgPool3d(3, 2, 1, True, False)),
    "global average pool": (nn.GlobalAvgPool3d(), lambda t: t.AdaptiveAvgPool3d(1)),
    "batch norm": (nn.BatchNorm3d(), lambda t: t.BatchNorm3d(4)),
}
TIMES, ROWS, COLUMNS = 5, 6, 7


def as_clips(x: Tensor) -> Tensor:
    """Return images N × T·C × H × W, frame after frame, as clips."""
    batch, channels, rows, columns = x.shape
    parts = ops.reshape(x, (batch, TIMES, channels // TIMES, rows, columns))
    return ops.transpose(parts, (0, 2, 1, 3, 4))


@pytest.mark.parametrize("case", PAIRS)
def test_layers_match_pytorch(case: str, rng: np.random.Generator) -> None:
    ours, theirs = PAIRS[case]
    module = theirs(torch.nn).double().eval()
    state = {
        name: abs(rng.standard_normal(tuple(value.shape))) + 0.1
        for name, value in module.state_dict().items()
        if name != "num_batches_tracked"
    }
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=False)
    x = rng.standard_normal((2, 4, TIMES, ROWS, COLUMNS))
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    network = Of(lambda self, x: self.layer(as_clips(x)), layer=ours)
    images = x.swapaxes(1, 2).reshape(2, 4 * TIMES, ROWS, COLUMNS)
    actual = forward(network, images, {f"layer.{name}": value for name, value in state.items()})
    assert actual.shape == expected.shape
    assert relative_error(actual, expected) < 1e-12


def network() -> nn.Layer:
    """A small network with every kind of kernel: all axes, frames, and time alone."""
    layers: list[nn.Layer] = [
        nn.Conv3d(6, 3, padding=1), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(8, (1, 3, 3), padding=(0, 1, 1), bias=False), nn.BatchNorm3d(), nn.ReLU(),
        nn.Conv3d(8, (3, 1, 1), (2, 1, 1), (1, 0, 0)), nn.ReLU(), nn.MaxPool3d(2),
        nn.GlobalAvgPool3d(), nn.Flatten(), nn.Linear(3),
    ]  # fmt: skip
    body = nn.Sequential(*layers)
    return Of(lambda self, x: self.body(as_clips(x)), body=body)


def test_a_step_of_clips_is_one_of_images(rng: np.random.Generator) -> None:
    graph = nn.training_graph(network(), (3 * TIMES, 8, 6), nn.optimizers.SGD(momentum=0.9))
    program, definition = compile_native(graph, 2, 2), Reference(graph, 2, np.float64)
    state = nn.initial_state(graph, 0)
    inputs = {
        "inputs": rng.standard_normal((2, 3 * TIMES, 8, 6)).astype(np.float32),
        "labels": np.array([0, 2], np.int32),
        "learning_rate": 0.1,
    }
    for engine in (program, definition):
        engine.load_state(state)
    for _ in range(2):
        found, expected = program.run(**inputs)["loss"], definition.run(**inputs)["loss"]
        assert found == pytest.approx(float(expected), rel=1e-4)
    for name, value in definition.state().items():
        assert relative_error(program.state()[name], value) < 1e-3, name
    convolutions = [call for call in program.plan.calls if call.label == "conv2d"]
    assert [("relu" in call.fused) for call in convolutions if call.scope in ("body.0", "body.6")] == [True, True]
    assert not any(node.op.name.endswith("3d") for node in program.plan.graph.nodes)


def test_steps_have_the_same_bits_on_any_number_of_threads(rng: np.random.Generator) -> None:
    graph = nn.training_graph(network(), (3 * TIMES, 8, 6), nn.optimizers.SGD())
    inputs = {"inputs": rng.standard_normal((2, 3 * TIMES, 8, 6)), "labels": np.array([0, 2]), "learning_rate": 0.1}
    states = []
    for threads in (1, 3):
        program = compile_native(graph, 2, threads)
        program.load_state(nn.initial_state(graph, 0))
        program.run(**inputs)
        states.append(program.state())
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_misfits_are_named() -> None:
    with pytest.raises(ShapeError, match="conv3d: expected clips N × channels × time × rows × columns, got N × 3 × 8"):
        nn.trace(nn.Conv3d(4, 3), (3, 8, 8))
    with pytest.raises(ShapeError, match=r"conv3d: kernel_size: expected a number or \(time, rows, columns\), got"):
        nn.trace(Of(lambda self, x: self.layer(as_clips(x)), layer=nn.Conv3d(4, (3, 3))), (5, 8, 8))
    with pytest.raises(ShapeError, match="conv3d, in time: kernel 1 × 9 is larger than the padded input 1 × 5"):
        nn.trace(Of(lambda self, x: self.layer(as_clips(x)), layer=nn.Conv3d(4, (9, 1, 1))), (5, 8, 8))
    with pytest.raises(ShapeError, match="conv3d: 1 input channels do not divide into 2 groups"):
        nn.trace(Of(lambda self, x: self.layer(as_clips(x)), layer=nn.Conv3d(4, 3, groups=2)), (5, 8, 8))
