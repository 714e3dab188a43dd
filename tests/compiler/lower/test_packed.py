"""Implicit GEMM: packed weights, strided input gradients by phases, weight gradients tap by tap."""

from __future__ import annotations

from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered_conv, pointer, word

X = (4, 32, 14, 14)
MACS = 4 * 64 * 14 * 14 * 32


def test_a_1x1_convolution_multiplies_pixels_in_place(any_target: Target) -> None:
    pack, call = lowered_conv("conv2d", X, (64, 32, 1, 1), any_target)
    assert kernels([pack, call]) == ["PackPanels", "ConvPacked"]
    assert pointer(pack, "u") is pointer(call, "u") and not call.spec.copies
    assert word(call, "count") == 4 * 14 * 14 and call.macs == MACS


def test_other_convolutions_pack_pixels(any_target: Target) -> None:
    for filters, kernel, stride in ((4096, 3, 2), (64, 1, 2)):
        pack, call = lowered_conv("conv2d", (8, *X[1:]), (filters, 32, kernel, kernel), any_target, stride)
        assert kernels([pack, call]) == ["PackPanels", "ConvPacked"] and call.spec.copies
        assert word(pack, "kh") == kernel and word(pack, "depth") == 32 and word(call, "sh") == stride


def test_a_strided_input_gradient_has_a_convolution_for_each_phase(any_target: Target) -> None:
    calls = lowered_conv("conv_transpose2d", X, (1024, 32, 3, 3), any_target, stride=2)
    assert kernels(calls) == ["PackPanels"] * 4 + ["ConvPacked"] * 4
    assert [(word(c, "kh"), word(c, "kw")) for c in calls[:4]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [call.macs * 9 // sum(c.macs for c in calls) for call in calls[4:]] == [1, 2, 2, 4]
    assert len({buffer for call in calls[4:] for buffer in call.writes}) == 1


def test_phases_without_taps_read_no_weights(any_target: Target) -> None:
    pack, *phases = lowered_conv("conv_transpose2d", X, (64, 32, 1, 1), any_target, stride=2)
    assert kernels([pack, *phases]) == ["PackPanels"] + ["ConvPacked"] * 4
    assert [phase.macs > 0 for phase in phases] == [True, False, False, False]
    assert all(pointer(phase, "u") is pointer(phase, "x") for phase in phases[1:])


def test_a_weight_gradient_of_few_blocks_has_several_parts(any_target: Target) -> None:
    products, total = lowered_conv("conv2d_weight", X, (64, 32, 1, 1), any_target)
    assert kernels([products, total]) == ["ConvWeightTaps", "Combine"]
    assert pointer(products, "result").shape == (4, 64 * 32) and word(products, "images") == 1
    products, total = lowered_conv("conv2d_weight", (4, 64, 14, 14), (64, 64, 5, 5), any_target)
    assert pointer(products, "result").shape == (2, 64 * 64 * 25) and word(products, "images") == 2
    (products, *_) = lowered_conv("conv2d_weight", (4, 64, 14, 14), (64, 64, 7, 7), any_target)
    assert pointer(products, "result").shape == (1, 64 * 64 * 49) and word(products, "images") == 4
