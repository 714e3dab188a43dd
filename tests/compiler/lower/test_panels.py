"""Direct convolutions with packed weights, and strided input gradients by phases."""

from __future__ import annotations

from opsin.compiler.calls import Partition
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered_conv, pointer, word

X = (4, 24, 20, 20)


def test_a_convolution_reads_packed_weights(any_target: Target) -> None:
    pack, call = lowered_conv("conv2d", X, (36, 24, 5, 5), any_target, stride=2)
    assert kernels([pack, call]) == ["PackPanels", "ConvPanels"]
    assert pointer(pack, "u") is pointer(call, "u") and not pack.spec.transposed
    assert call.partition is Partition.PER_SAMPLE and call.spec.shares == 1
    assert call.macs == 4 * 36 * 10 * 10 * 24 * 25


def test_large_weights_are_shared_among_blocks(any_target: Target) -> None:
    """One small image has few rows, and every block of rows would read all weights."""
    _, call = lowered_conv("conv2d", (1, 64, 8, 8), (512, 64, 5, 5), any_target)
    blocks = word(call, "blocks")
    assert call.spec.shares > 1 and call.blocks == blocks * call.spec.shares >= 16 > 4 * blocks


def test_small_weights_are_not(any_target: Target) -> None:
    _, call = lowered_conv("conv2d", (1, 24, 32, 32), (24, 24, 5, 5), any_target)
    assert (word(call, "rows"), word(call, "blocks"), call.spec.shares) == (2, 16, 1)


def test_a_strided_input_gradient_has_a_convolution_for_each_phase(any_target: Target) -> None:
    calls = lowered_conv("conv_transpose2d", X, (36, 24, 3, 3), any_target, stride=2)
    assert kernels(calls) == ["PackPanels"] * 4 + ["ConvPanels"] * 4
    assert all(call.spec.transposed for call in calls[:4]) and all(call.spec.strided_output for call in calls[4:])
    assert [(word(c, "kh"), word(c, "kw")) for c in calls[:4]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [call.macs * 9 // sum(c.macs for c in calls) for call in calls[4:]] == [1, 2, 2, 4]
    assert len({buffer for call in calls[4:] for buffer in call.writes}) == 1


def test_phases_without_taps_read_no_weights(any_target: Target) -> None:
    calls = lowered_conv("conv_transpose2d", X, (36, 24, 2, 2), any_target, stride=3)
    assert sorted(kernels(calls)) == ["ConvPacked"] * 5 + ["ConvPanels"] * 4 + ["PackPanels"] * 4
