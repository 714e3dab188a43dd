"""Reductions: sample by sample, by chunk with partial sums, or in blocks of results."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.ir import input_tensor
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered, pointer, word


@pytest.mark.parametrize("function", [ops.sum, ops.max])
def test_each_sample_is_reduced_by_itself(function: object, any_target: Target) -> None:
    x = input_tensor("x", (64, 10))
    (call,) = lowered(function(x, 1), [x], any_target, 64)  # type: ignore[operator]
    assert (kernels([call]), call.partition, call.blocks) == (["Reduce"], Partition.PER_SAMPLE, 1)


def test_a_sum_over_the_batch_has_partial_sums_by_chunk(any_target: Target) -> None:
    x = input_tensor("x", (64, 10))
    partial, total = lowered(ops.sum(x, 0), [x], any_target, 64)
    assert kernels([partial, total]) == ["Reduce", "Combine"]
    assert (partial.partition, partial.blocks) == (Partition.PER_CHUNK, 16)
    assert pointer(total, "partial").shape == (16, 10)


def test_a_maximum_over_the_batch_is_one_call(any_target: Target) -> None:
    x = input_tensor("x", (64, 10))
    (call,) = lowered(ops.max(x, 0), [x], any_target, 64)
    assert (kernels([call]), call.partition) == (["Reduce"], Partition.ANY)


def test_an_array_without_a_contiguous_dimension_is_copied_first(any_target: Target) -> None:
    x = input_tensor("x", (64, 10))
    columns = ops.slice(ops.exp(x), (0, 0), (64, 10), (1, 2))
    assert kernels(lowered(ops.sum(columns, 1), [x], any_target, 64)) == ["Pointwise", "Pointwise", "Reduce"]


def test_argmax_walks_the_axis_where_it_lies(any_target: Target) -> None:
    x = input_tensor("x", (4, 3, 5, 5))
    (call,) = lowered(ops.argmax(x, 1), [x], any_target)
    assert (kernels([call]), call.partition) == (["ArgMax"], Partition.PER_SAMPLE)
    assert (word(call, "length"), word(call, "axis_stride")) == (3, 1)
    assert (word(call, "count"), word(call, "block")) == (np.prod((4, 5, 5)), np.prod((5, 5)))
    assert pointer(call, "y").buffer.element == "i32"
