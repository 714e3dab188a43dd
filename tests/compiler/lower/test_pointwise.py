"""Groups of pointwise operations: one call each, with their operands and results in one order."""

from __future__ import annotations

import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.compiler.lower.pointwise import stream_kind
from opsin.compiler.views import Buffer, View, channels_last, dense_strides
from opsin.ir import INT, input_tensor
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered

SHAPE = (4, 3, 6, 6)


def test_a_chain_is_one_call_that_stores_only_what_is_read(any_target: Target) -> None:
    x, bias = input_tensor("x", SHAPE), input_tensor("bias", (3, 1, 1))
    y = ops.relu(ops.add(ops.multiply(x, 2.0), bias))
    (call,) = lowered(y, [x, bias], any_target)
    assert kernels([call]) == ["Pointwise"] and call.fused == ("multiply", "add")
    assert call.partition is Partition.PER_SAMPLE and len(call.reads) == 2 and len(call.writes) == 1
    functions = [step.function for step in call.spec.expression.steps]
    assert [name for name in functions if name != "constant"] == ["multiply", "add", "relu"]


def test_two_results_of_a_group_are_stored_by_one_call(any_target: Target) -> None:
    x = input_tensor("x", SHAPE)
    y = ops.exp(x)
    (call,) = lowered({"y": y, "z": ops.negate(y)}, [x], any_target)
    assert len(call.writes) == len(call.spec.expression.results) == 2


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)], ids=["channels last", "transposed"])
def test_results_take_the_order_of_the_first_operand_of_full_size(axes: tuple[int, ...], any_target: Target) -> None:
    x = input_tensor("x", SHAPE)
    (call,) = lowered(ops.exp(ops.transpose(x, axes)), [x], any_target)
    source, result = call.arguments[:2]
    assert result.strides == source.strides and result.shape == source.shape


def test_one_hot_compares_labels_with_their_index(any_target: Target) -> None:
    labels = input_tensor("labels", (4,), INT)
    (call,) = lowered(ops.one_hot(labels, 5), [labels], any_target)
    assert [step.function for step in call.spec.expression.steps] == ["same_index"]
    assert [stream.element for stream in call.spec.operands] == ["i32", "place"]


def test_operands_of_an_epilogue_vary_by_element_by_channel_or_not_at_all() -> None:
    buffer, order = Buffer(432, "f32", "temporary"), channels_last(4)
    assert stream_kind(View(buffer, SHAPE, dense_strides(SHAPE, order)), 1) == "same"
    assert stream_kind(View(buffer, SHAPE, (0, 1, 0, 0)), 1) == "channel"
    assert stream_kind(View(buffer, SHAPE, (0, 2, 0, 0)), 1) == "same"  # Channels are read as vectors.
    assert stream_kind(View(buffer, SHAPE, (0, 0, 0, 0)), 1) == "scalar"
