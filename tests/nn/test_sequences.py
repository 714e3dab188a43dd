"""Layers for sequences against PyTorch's, as N × C × T and as images of one row; embeddings of tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile as compile_native
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import Tensor
from tests.nn.support import forward
from tests.support import relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")

PAIRS: dict[str, tuple[nn.Layer, Callable[[Any], Any]]] = {
    "conv": (nn.Conv1d(5, 3), lambda t: t.Conv1d(4, 5, 3)),
    "conv, everything": (
        nn.Conv1d(6, 4, 2, padding=3, dilation=2, groups=2, bias=False),
        lambda t: t.Conv1d(4, 6, 4, 2, 3, 2, 2, False),
    ),
    "conv, same size": (
        nn.Conv1d(5, 4, padding="same", dilation=2),
        lambda t: t.Conv1d(4, 5, 4, padding="same", dilation=2),
    ),
    "conv, the past": (
        nn.Conv1d(5, 3, padding=(2, 0)),
        lambda t: t.Sequential(t.ConstantPad1d((2, 0), 0.0), t.Conv1d(4, 5, 3)),
    ),
    "conv, depthwise": (nn.Conv1d(4, 5, groups=4, padding=2), lambda t: t.Conv1d(4, 4, 5, 1, 2, 1, 4)),
    "max pool": (nn.MaxPool1d(3, 2, 1, True), lambda t: t.MaxPool1d(3, 2, 1, ceil_mode=True)),
    "average pool": (nn.AvgPool1d(3, 2, 1, True, False), lambda t: t.AvgPool1d(3, 2, 1, True, False)),
    "global average pool": (nn.GlobalAvgPool1d(), lambda t: t.AdaptiveAvgPool1d(1)),
    "global max pool": (nn.GlobalMaxPool1d(), lambda t: t.AdaptiveMaxPool1d(1)),
    "batch norm": (nn.BatchNorm1d(), lambda t: t.BatchNorm1d(4)),
}


class OfSequences(nn.Layer):
    """A layer that gets N × C × T from images of one row."""

    def __init__(self, layer: nn.Layer) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(ops.squeeze(x, 2))


@pytest.mark.parametrize("case", PAIRS)
def test_layers_match_pytorch(case: str, rng: np.random.Generator) -> None:
    ours, theirs = PAIRS[case]
    module = theirs(torch.nn).double().eval()
    state = {
        name.rpartition(".")[2]: abs(rng.standard_normal(tuple(value.shape))) + 0.1
        for name, value in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with torch.no_grad():
        for name, value in {**dict(module.named_parameters()), **dict(module.named_buffers())}.items():
            if name.rpartition(".")[2] in state:
                value.copy_(torch.from_numpy(state[name.rpartition(".")[2]]))
        x = rng.standard_normal((2, 4, 13))
        expected = module(torch.from_numpy(x)).numpy()
    row = forward(ours, x[:, :, None], state)
    np.testing.assert_array_equal(row.shape, np.expand_dims(expected, 2).shape)
    assert relative_error(row[:, :, 0], expected) < 1e-12
    sequence = forward(OfSequences(ours), x[:, :, None], {f"layer.{name}": value for name, value in state.items()})
    np.testing.assert_array_equal(sequence, row[:, :, 0])


def test_embeddings_are_trained_like_pytorchs(rng: np.random.Generator) -> None:
    """One step of SGD, natively; token 2 stands for nothing, and 9 is no token."""
    tokens = np.array([[1, 4, 2, 4], [0, 2, 1, 1], [3, 4, 9, 1]], np.float32)
    network = nn.Sequential(nn.Embedding(5, 6, padding=2), nn.GlobalAvgPool1d(), nn.Flatten())
    graph = nn.training_graph(network, (1, 1, 4), nn.optimizers.SGD())
    program = compile_native(graph, 3, 2)
    weight = rng.standard_normal((5, 6)).astype(np.float32)
    program.load_state({"0.weight": weight})
    labels = np.array([0, 3, 5], np.int32)
    loss = program.run(inputs=tokens[:, None, None], labels=labels, learning_rate=0.5)["loss"]
    module = torch.nn.Embedding(6, 6, padding_idx=5)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.concatenate([weight, np.zeros((1, 6), np.float32)])))
    rows = torch.from_numpy(np.where((tokens == 2) | (tokens == 9), 5, tokens).astype(np.int64))
    expected = torch.nn.functional.cross_entropy(module(rows).mean(1), torch.from_numpy(labels).long())
    expected.backward()
    assert loss == pytest.approx(float(expected.item()), rel=1e-5)
    assert relative_error(program.state()["0.weight"], weight - 0.5 * module.weight.grad.numpy()[:5]) < 1e-5
    assert [type(call.spec).__name__ for call in program.plan.calls].count("ScatterAdd") == 1
    (scatter,) = (call for call in program.plan.calls if type(call.spec).__name__ == "ScatterAdd")
    assert "subtract" in scatter.fused, "the gradient of the table is stored before the update"


def test_arguments_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^Embedding: padding is one of the tokens 0 … 4, not 5; leave it out"):
        nn.Embedding(5, 2, padding=5)
    with pytest.raises(UsageError, match=r"^Embedding: expected at least one output token, not 0"):
        nn.Embedding(0, 2)
    with pytest.raises(ShapeError, match="embedding: expected tokens N × time or N × 1 × 1 × time, got N × 2 × 1 × 4"):
        nn.trace(nn.Embedding(5, 2), (2, 1, 4))
    with pytest.raises(ShapeError, match="conv1d: expected a sequence N × channels × time, or an image of one row"):
        nn.trace(nn.Conv1d(5, 2), (2, 3, 4))
