"""Pooling by rows of results, its gradients and resampling image by image."""

from __future__ import annotations

import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.ir import input_tensor
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered, pointer, word

X = (4, 3, 8, 8)
POOLS = {"max": ops.max_pool2d, "avg": ops.avg_pool2d}


@pytest.mark.parametrize(("kind", "kernel"), [("max", "MaxPool"), ("avg", "AvgPool")])
def test_windows_are_clamped_only_if_they_leave_the_image(kind: str, kernel: str, any_target: Target) -> None:
    x = input_tensor("x", X)
    for padding, clamp in ((0, False), (1, True)):
        (call,) = lowered(POOLS[kind](x, 3, stride=2, padding=padding), [x], any_target)
        assert kernels([call]) == [kernel] and call.spec.clamp == clamp
        assert (call.partition, call.blocks) == (Partition.PER_SAMPLE, pointer(call, "y").shape[2])
        assert word(call, "top") == padding


@pytest.mark.parametrize(("kind", "kernel"), [("max", "MaxPoolGradient"), ("avg", "AvgPoolGradient")])
def test_a_gradient_knows_whether_windows_tile_the_image(kind: str, kernel: str, any_target: Target) -> None:
    x = input_tensor("x", X)
    for window, stride, tiles in ((2, 2, True), (3, 2, False)):
        y = POOLS[kind](x, window, stride=stride)
        g = input_tensor("g", y.shape)
        (dx,) = ops.gradients(ops.sum(ops.multiply(y, g)), [x])
        assert dx is not None
        (call,) = lowered(dx, [x, g], any_target)
        assert kernels([call]) == [kernel] and call.spec.tiles == tiles
        assert (call.partition, call.blocks) == (Partition.PER_SAMPLE, 1)


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 1), ("bilinear", 2)])
def test_resampling_reads_tables_of_weights(mode: str, taps: int, any_target: Target) -> None:
    x = input_tensor("x", X)
    (call,) = lowered(ops.resample2d(x, (16, 16), mode), [x], any_target)
    assert kernels([call]) == ["Resample"] and call.partition is Partition.PER_SAMPLE
    assert (word(call, "row_taps"), word(call, "column_taps")) == (taps, taps)
    assert pointer(call, "row_weights").shape == (16, taps)
    assert sum(buffer.role == "table" for buffer in call.reads) == 6
