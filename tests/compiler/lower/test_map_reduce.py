"""Sums by channel of large arrays, in the sweep that computes the summands, and variances with their means."""

from __future__ import annotations

import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.compiler.cost_model import EPYC_ZEN3
from opsin.ir import input_tensor
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered, pointer

LARGE, AXES = (16, 16, 16, 16), (0, 2, 3)


def test_sums_of_a_large_array_take_one_sweep(any_target: Target) -> None:
    x, g = input_tensor("x", LARGE), input_tensor("g", LARGE)
    outputs = {"products": ops.sum(ops.multiply(x, g), AXES), "g": ops.sum(g, AXES)}
    sweep, *totals = lowered(outputs, [x, g], any_target, 16)
    assert kernels([sweep, *totals]) == ["MapReduceByChannel", "Combine", "Combine"]
    assert (sweep.partition, sweep.blocks) == (Partition.PER_CHUNK, 16)
    assert [pointer(total, "partial").shape for total in totals] == [(16, 16)] * 2
    assert len(sweep.reads) == 2 and len(sweep.writes) == 2  # The products are not stored.


@pytest.mark.parametrize(("size", "segment"), [(511, None), (512, 4 * 256)])
def test_sums_over_many_pixels_of_a_chunk_are_taken_in_segments(
    size: int, segment: int | None, any_target: Target
) -> None:
    x = input_tensor("x", (2, 16, size, size))
    sweep, _ = lowered(ops.sum(ops.exp(x), AXES), [x], any_target, 2)
    assert sweep.spec.divided == (segment is not None)
    assert sweep.scratch == (0 if segment is None else 2 * 16)
    words = [argument for argument in sweep.arguments if isinstance(argument, int)]
    assert words == [2 * size**2, *([] if segment is None else [segment]), size**2]


def test_summands_that_are_read_are_stored(any_target: Target) -> None:
    x = input_tensor("x", LARGE)
    y = ops.exp(x)
    sweep, total = lowered({"y": y, "sum": ops.sum(y, AXES)}, [x], any_target, 16)
    assert kernels([sweep, total]) == ["MapReduceByChannel", "Combine"]
    assert sorted(buffer.size for buffer in sweep.writes) == [16 * 16, EPYC_ZEN3.sweep_min_elements]


def test_a_small_array_is_summed_separately(any_target: Target) -> None:
    x = input_tensor("x", (16, 16, 15, 16))
    y = ops.exp(x)
    calls = lowered({"y": y, "sum": ops.sum(y, AXES)}, [x], any_target, 16)
    assert kernels(calls) == ["Pointwise", "Reduce", "Combine"]


def test_a_variance_gives_the_sums_as_well(any_target: Target) -> None:
    x = input_tensor("x", LARGE)
    calls = lowered({"variance": ops.variance(x, AXES), "sum": ops.sum(x, AXES)}, [x], any_target, 16)
    assert kernels(calls) == ["Moments", "MergeMoments"]
    moments, merge = calls
    assert (moments.partition, moments.blocks) == (Partition.PER_CHUNK, 16)
    assert pointer(merge, "partial").shape == (16, 2 * 16)
    assert pointer(merge, "sums").shape == pointer(merge, "variances").shape


def test_a_batch_without_chunks_is_divided_by_pixels(any_target: Target) -> None:
    x = input_tensor("x", (1, 16, 64, 64))
    sweep, total = lowered(ops.sum(ops.exp(x), AXES), [x], any_target, 1)
    assert kernels([sweep, total]) == ["MapReduceByChannel", "Combine"]
    assert (sweep.partition, sweep.blocks) == (Partition.ANY, 16)
