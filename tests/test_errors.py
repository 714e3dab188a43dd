"""Errors know the layer in which they happened as data; their text names it."""

from __future__ import annotations

import pickle

import pytest

from opsin import nn, ops
from opsin.base.errors import GraphError, OpsinError, ShapeError
from opsin.ir import Tensor, input_tensor, scope
from opsin.ir.core import Op, apply
from opsin.ops.registry import shape_error


def test_the_innermost_layer_counts() -> None:
    error = ShapeError("does not fit")
    assert (str(error), error.layer, error.reason) == ("does not fit", "", "does not fit")
    assert error.in_layer("") is error.in_layer("features.1") is error.in_layer("features") is error
    assert (str(error), error.layer, error.reason) == ("layer features.1: does not fit", "features.1", "does not fit")


def test_errors_can_be_sent_to_other_processes() -> None:
    error = pickle.loads(pickle.dumps(GraphError("broken").in_layer("conv1")))
    assert (type(error), str(error), error.layer) == (GraphError, "layer conv1: broken", "conv1")


def test_layers_name_their_errors_once() -> None:
    network = nn.Sequential(nn.Sequential(nn.Flatten(), ("last", nn.MaxPool2d(2))))
    with pytest.raises(ShapeError, match=r"^layer 0.last: max_pool2d: expected N × channels") as caught:
        nn.trace(network, (1, 8, 8))
    assert caught.value.layer == "0.last"


class Complaining(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        raise ShapeError("layer cakes are not images")


def test_messages_may_begin_as_they_like() -> None:
    with pytest.raises(ShapeError, match=r"^layer 0: layer cakes are not images$"):
        nn.trace(nn.Sequential(Complaining()), (1, 8, 8))


class Picky(Op):
    name = "picky"

    def infer(self, *types: object, **attrs: object) -> None:  # type: ignore[override]
        raise OpsinError("no")


def test_shape_rules_and_checks_name_the_scope() -> None:
    with scope("conv1"), pytest.raises(OpsinError, match=r"^layer conv1: no$"):
        apply(Picky(), (), {})
    with scope("pool"), pytest.raises(ShapeError, match=r"^layer pool: max_pool2d: kernel 9 × 1 \(dilated"):
        ops.max_pool2d(input_tensor("x", (1, 1, 4, 4)), (9, 1), dilation=2)
    with scope("fc"):
        assert shape_error("no").layer == "fc"
    assert shape_error("no").layer == ""
