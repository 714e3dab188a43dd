"""Depthwise convolutions: one kernel for all three directions but the weight gradient, in blocks of channels."""

from __future__ import annotations

import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.compiler.lower.context import Lowering
from opsin.ir import input_tensor, variable
from opsin.kernels.ir import Target
from opsin.ops import OPS
from tests.compiler.lower.support import conv_attrs, kernels, lowered, lowered_conv, pointer, word

X, W = (4, 32, 8, 8), (32, 1, 3, 3)
MACS = 4 * 32 * 8 * 8 * 9


def test_a_convolution_takes_the_activation_along(any_target: Target) -> None:
    x, w = input_tensor("x", X), variable("w", W)
    (call,) = lowered(ops.relu(OPS["conv2d"](x, w, **conv_attrs(groups=32)).output), [x], any_target)
    assert kernels([call]) == ["Depthwise"] and call.fused == ("relu",)
    assert (call.partition, call.blocks, call.macs) == (Partition.PER_SAMPLE, 8, MACS)
    assert not call.spec.rows.transposed


@pytest.mark.parametrize("stride", [1, 2])
def test_an_input_gradient_moves_the_windows_over_its_results(stride: int, any_target: Target) -> None:
    (call,) = lowered_conv("conv_transpose2d", X, W, any_target, stride, groups=32)
    assert kernels([call]) == ["Depthwise"]
    assert call.spec.rows.transposed and call.spec.columns.stride == stride
    assert (word(call, "W"), word(call, "OW")) == (8 // stride, 8)


def test_a_weight_gradient_is_summed_by_chunk(any_target: Target) -> None:
    products, total = lowered_conv("conv2d_weight", X, W, any_target, groups=32)
    assert kernels([products, total]) == ["DepthwiseWeight", "Combine"]
    assert (products.partition, products.blocks, products.macs) == (Partition.PER_CHUNK, 4, MACS)
    assert pointer(total, "partial").shape == (4, 32 * 9)


def test_many_weights_are_divided_into_blocks_of_channels(any_target: Target) -> None:
    few, many = (
        lowered_conv("conv2d", (4, channels, 4, 4), (channels, 1, 3, 3), any_target, groups=channels)[0].spec
        for channels in (Lowering.costs.depthwise_max_weights // 9, Lowering.costs.depthwise_max_weights // 9 + 1)
    )
    assert few.channel_block is None
    assert many.channel_block % Lowering.costs.depthwise_block_multiple == 0 < many.channel_block < many.channels
