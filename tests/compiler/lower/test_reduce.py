"""Reductions: sample by sample, by chunk with partial sums, or in blocks of results."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.compiler.calls import Partition
from opsin.compiler.execution_plan import make_plan
from opsin.ir import input_tensor
from opsin.kernels.ir import Target
from opsin.kernels.map_reduce import MapReduceByChannel
from opsin.kernels.reduce import Reduce
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


@pytest.mark.parametrize(
    ("shape", "axes", "loop", "segment"),
    [
        ((512, 513), (0, 1), 0, None),  # The innermost loop, over all elements.
        ((2, 2**19, 4), (0, 1), 0, 1024),
        ((4, 2**10, 8, 2**9), (1, 3), 0, None),
        ((511, 512), (0, 1), None, None),
    ],
)
def test_long_sums_are_taken_in_segments(
    shape: tuple[int, ...], axes: tuple[int, ...], loop: int | None, segment: int | None, any_target: Target
) -> None:
    x = input_tensor("x", shape)
    (call,) = lowered(ops.sum(x, axes), [x], any_target, 1)
    assert call.spec.segment_loop == loop
    words = [argument for argument in call.arguments if isinstance(argument, int)]
    if segment is not None:
        assert words[-3] == segment
    (call,) = lowered(ops.max(x, axes), [x], any_target, 1)
    assert call.spec.segment_loop is None


@pytest.mark.parametrize(
    ("name", "batch"), [("resnet50", 256), ("mobilenet_v2", 256), ("resnet20_cifar", 256), ("vgg11", 64)]
)
def test_sums_of_classifiers_keep_their_order(name: str, batch: int, target: Target) -> None:
    entry = zoo.find(name)
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD(momentum=0.9))
    specs = [call.spec for call in make_plan(graph, batch, target).calls]
    assert not any(spec.segment_loop is not None for spec in specs if isinstance(spec, Reduce))
    assert not any(spec.divided for spec in specs if isinstance(spec, MapReduceByChannel))


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
