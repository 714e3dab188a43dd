"""Networks with several outputs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from opsin import nn
from opsin.base.errors import GraphError
from opsin.ir import BATCH, Tensor
from opsin.nn.trace import image_input, run_forward


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
    outputs, _ = run_forward(nn.ReLU(), image_input((1, 2, 2)), training=False)
    assert {name: tensor.shape for name, tensor in outputs.items()} == {"logits": (BATCH, 1, 2, 2)}


@pytest.mark.parametrize(
    ("result", "message"),
    [({}, "gave dict, not a tensor"), ({"a": 1}, "gave dict, not a tensor"), (None, "gave NoneType, not a tensor")],
)
def test_anything_else_is_an_error(result: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        nn.trace(Wrong(result), (1, 2, 2))
