"""Networks with several outputs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from opsin import nn
from opsin.base.errors import GraphError
from opsin.ir import BATCH, Tensor
from opsin.nn.trace import image_input, run_forward, run_outputs


class Both(nn.Layer):
    """Two outputs from one image."""

    def __init__(self) -> None:
        self.first, self.second = nn.Conv2d(2, 1), nn.Conv2d(4, 1)

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        return {"small": self.first(x), "large": self.second(x)}


class Wrong(nn.Layer):
    def __init__(self, result: object) -> None:
        self.result = result

    def forward(self, x: Tensor) -> object:
        return self.result


def test_a_mapping_gives_outputs_by_name() -> None:
    graph = nn.trace(Both(), (3, 5, 6))
    assert {name: tensor.shape for name, tensor in graph.outputs.items()} == {
        "small": (BATCH, 2, 5, 6),
        "large": (BATCH, 4, 5, 6),
    }
    assert set(graph.parameters) == {"first.weight", "first.bias", "second.weight", "second.bias"}


def test_one_tensor_is_called_logits() -> None:
    outputs, _ = run_outputs(nn.ReLU(), image_input((1, 2, 2)), training=False)
    assert list(outputs) == ["logits"]
    logits, _ = run_forward(nn.ReLU(), image_input((1, 2, 2)), training=False)
    assert logits.shape == (BATCH, 1, 2, 2)


def test_a_network_for_labels_has_one_output() -> None:
    with pytest.raises(GraphError, match="the network's outputs are small, large, but a network for labels has one"):
        nn.training_graph(Both(), (3, 5, 6), nn.optimizers.SGD())


@pytest.mark.parametrize(
    ("result", "message"),
    [({}, "gave an empty mapping"), ({"a": 1}, "gave int, not a tensor"), (None, "gave NoneType, not a tensor")],
)
def test_anything_else_is_an_error(result: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        nn.trace(Wrong(result), (1, 2, 2))
