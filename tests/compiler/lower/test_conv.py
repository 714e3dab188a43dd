"""Convolutions by the direct algorithm: image by image, gradients as convolutions and as sums over chunks."""

from __future__ import annotations

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.compiler.views import channels_last
from opsin.ir import input_tensor, variable
from opsin.kernels.ir import Target
from opsin.ops import OPS
from tests.compiler.lower.support import conv_attrs, kernels, lowered, lowered_conv, pointer, word

X, W = (4, 3, 8, 8), (5, 3, 3, 3)
MACS = 4 * 5 * 8 * 8 * 3 * 9


def test_bias_and_activation_are_the_epilogue(any_target: Target) -> None:
    x, w, bias = input_tensor("x", X), variable("w", W), variable("b", (5, 1, 1))
    y = ops.relu(ops.add(OPS["conv2d"](x, w, **conv_attrs()).output, bias))
    (call,) = lowered(y, [x], any_target)
    assert kernels([call]) == ["Conv2d"] and call.fused == ("add", "relu")
    assert call.spec.epilogue.operands == ("channel",)
    assert (call.partition, call.macs) == (Partition.PER_SAMPLE, MACS)
    assert call.arguments[-1].is_dense(channels_last(4))


def test_only_padded_columns_need_scratch(any_target: Target) -> None:
    (padded,) = lowered_conv("conv2d", X, W, any_target)
    x, w = input_tensor("x", X), variable("w", W)
    (inside,) = lowered(OPS["conv2d"](x, w, **conv_attrs(padding=0)).output, [x], any_target)
    assert padded.scratch > 0 == inside.scratch
    assert padded.spec.padded and not inside.spec.padded


def test_an_input_gradient_is_a_convolution_with_the_flipped_kernel(any_target: Target) -> None:
    flip, call = lowered_conv("conv_transpose2d", X, W, any_target)
    assert kernels([flip, call]) == ["Pointwise", "Conv2d"]
    assert pointer(call, "w").shape == (3, 5, 3, 3) and call.macs == MACS


def test_an_input_gradient_in_groups_with_a_stride_has_zeros_between_its_pixels(any_target: Target) -> None:
    calls = lowered_conv("conv_transpose2d", (4, 4, 8, 8), (6, 2, 3, 3), any_target, stride=2, groups=2)
    assert kernels(calls) == ["Pointwise", "Pointwise", "Pointwise", "Conv2d"]
    fill, spread = (
        next(c for c in calls if pointer(calls[-1], "x").buffer in c.writes and bool(c.reads) is reads)
        for reads in (False, True)
    )
    assert pointer(calls[-1], "x").shape == (4, 6, 7, 7)
    assert calls.index(fill) < calls.index(spread) and calls[-1].macs == 4 * 6 * 4 * 4 * 2 * 9


def test_groups_flip_each_group(any_target: Target) -> None:
    flip, call = lowered_conv("conv_transpose2d", (4, 4, 8, 8), (6, 2, 3, 3), any_target, groups=2)
    assert kernels([flip, call]) == ["Pointwise", "Conv2d"]
    assert pointer(call, "w").shape == (4, 3, 3, 3) and call.spec.window.groups == 2


def test_a_weight_gradient_is_summed_by_chunk(any_target: Target) -> None:
    products, total = lowered_conv("conv2d_weight", X, W, any_target)
    assert kernels([products, total]) == ["Conv2dWeight", "Combine"]
    assert (products.partition, products.blocks, products.macs) == (Partition.PER_CHUNK, 4, MACS)
    assert pointer(total, "partial").shape == (4, 5 * 3 * 9) and word(total, "parts") == 4


def test_a_weight_gradient_of_one_image_needs_no_partial_sums(any_target: Target) -> None:
    (call,) = lowered_conv("conv2d_weight", (1, *X[1:]), W, any_target)
    assert kernels([call]) == ["Conv2dWeight"] and pointer(call, "partial").shape == W


def test_a_weight_gradient_exchanges_rows_and_columns_if_that_fills_vectors(any_target: Target) -> None:
    """15 numbers are under a row of the window, and 33 filters need one vector more than whole ones."""
    products, _ = lowered_conv("conv2d_weight", X, (33, 3, 5, 5), any_target)
    assert kernels([products]) == ["Conv2dWeight"] and products.spec.transposed == (any_target.lanes > 4)
    products, _ = lowered_conv("conv2d_weight", X, (32, 3, 5, 5), any_target)
    assert not products.spec.transposed
