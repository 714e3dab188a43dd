"""Winograd's algorithm: fused with many tiles, in separate passes with few, and weight gradients in parts or rounds."""

from __future__ import annotations

import pytest

from opsin.kernels.ir import Target
from opsin.kernels.transforms import POINTS
from tests.compiler.lower.support import kernels, lowered_conv, pointer, word

W = (32, 32, 3, 3)
MANY, FEW = (64, 32, 16, 16), (2, 32, 16, 16)


def test_many_tiles_are_transformed_and_multiplied_by_one_kernel(any_target: Target) -> None:
    filters, call = lowered_conv("conv2d", MANY, W, any_target)
    assert kernels([filters, call]) == ["WinogradFilters", "Winograd"]
    assert pointer(filters, "u") is pointer(call, "u")
    assert call.blocks == -(-64 * 16 // call.spec.tiles) and call.macs == 64 * 16 * 16 * 32 * 32 * 9


def test_few_tiles_are_multiplied_point_by_point(any_target: Target) -> None:
    calls = lowered_conv("conv2d", FEW, W, any_target)
    assert kernels(calls) == ["WinogradFilters", "WinogradTiles", "WinogradProducts", "WinogradOutputs"]
    _, tiles, products, outputs = calls
    assert pointer(tiles, "result") is pointer(products, "v") and pointer(products, "m") is pointer(outputs, "m")
    assert products.blocks % POINTS == 0 and [call.macs > 0 for call in calls] == [False, False, True, False]


@pytest.mark.parametrize("shape", [MANY, FEW], ids=["fused", "non-fused"])
def test_an_input_gradient_is_a_convolution_with_the_flipped_kernel(shape: tuple[int, ...], any_target: Target) -> None:
    flip, *calls = lowered_conv("conv_transpose2d", shape, W, any_target)
    assert kernels([flip]) == ["Pointwise"]
    assert kernels(calls) == kernels(lowered_conv("conv2d", shape, W, any_target))


def test_a_weight_gradient_of_few_channels_is_summed_in_parts(any_target: Target) -> None:
    parts, total, inverse = lowered_conv("conv2d_weight", MANY, W, any_target)
    assert kernels([parts, total, inverse]) == ["WinogradParts", "Combine", "WinogradWeight"]
    assert parts.blocks == word(total, "parts") == 16
    assert word(parts, "tiles_per_part") * parts.blocks == 64 * 16
    assert pointer(total, "y") is pointer(inverse, "du")


def test_a_weight_gradient_of_many_channels_is_summed_in_rounds(any_target: Target) -> None:
    *rounds, inverse = lowered_conv("conv2d_weight", (64, 64, 16, 16), (64, 64, 3, 3), any_target)
    assert kernels(rounds) == ["WinogradTiles", "WinogradTiles", "WinogradReduction"] * (len(rounds) // 3)
    products = rounds[2::3]
    assert len(products) > 1 and sum(word(call, "count") for call in products) == 64 * 16
    assert [word(call, "accumulate") for call in products] == [0] + [1] * (len(products) - 1)
    assert len({pointer(call, "du").buffer for call in [*products, inverse]}) == 1
