"""Calls bind their arguments by name: what is missing, unknown or of another type is an error when planning."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsin import nn, zoo
from opsin.compiler.calls import Partition, bind_arguments
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.lower import Lowering
from opsin.compiler.views import View
from opsin.kernels.expression import IDENTITY
from opsin.kernels.ir import Target
from opsin.kernels.matmul import MatMul
from opsin.kernels.reduce import Combine
from opsin.kernels.tile import Epilogue
from opsin.kernels.transpose import Transpose

WORDS = {"count": 6, "parts": 2, "block": 3}


@pytest.fixture
def lowering(any_target: Target) -> Lowering:
    return Lowering(batch=2, chunk=1, target=any_target)


def combine(lowering: Lowering, words: dict[str, Any], **pointers: View) -> Any:
    return lowering.call(Combine(), pointers=pointers, words=words, reads=[], writes=[])


def test_arguments_are_in_the_order_of_the_signature(lowering: Lowering) -> None:
    partial, y = lowering.new((2, 6)), lowering.new((6,))
    call = combine(lowering, dict(reversed(WORDS.items())), y=y, partial=partial)
    assert call.arguments == (partial, y, 6, 2, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"count": 6, "parts": 2}, "Combine: words are count, parts, block; missing: block"),
        ({**WORDS, "depth": 1}, "Combine: words are count, parts, block; unknown: depth"),
        (
            {"count": 6, "parts": 2, "blocks": 3},
            "Combine: words are count, parts, block; missing: block; unknown: blocks",
        ),
    ],
)
def test_a_wrong_word_is_an_error_of_the_plan(lowering: Lowering, words: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        combine(lowering, words, partial=lowering.new((2, 6)), y=lowering.new((6,)))


def test_a_wrong_pointer_is_an_error_of_the_plan(lowering: Lowering) -> None:
    with pytest.raises(TypeError, match=r"^Combine: pointers are partial, y; missing: y$"):
        combine(lowering, WORDS, partial=lowering.new((2, 6)))
    with pytest.raises(TypeError, match=r"^Combine: the pointer 'y' is to f32 elements, not i32$"):
        combine(lowering, WORDS, partial=lowering.new((2, 6)), y=lowering.new((6,), element="i32"))


def test_groups_are_expanded_in_place(lowering: Lowering) -> None:
    x, y = lowering.new((3, 4)), lowering.new((4, 3))
    words = {"rows": 3, "columns": 4, "x_step": 4, "y_step": 3, "extents": [7], "x_strides": [12], "y_strides": [24]}
    assert bind_arguments(Transpose(1), {"x": x, "y": y}, words) == (x, y, 7, 12, 24, 3, 4, 4, 3)


def test_an_epilogue_needs_all_its_arrays(lowering: Lowering) -> None:
    a, b, y = lowering.new((2, 3)), lowering.new((3, 4)), lowering.new((2, 4))
    words = {"m": 2, "k": 3, "a_step": 1, "b_row": 4}
    spec = MatMul(4, 2, 3, Epilogue(IDENTITY))
    assert bind_arguments(spec, {"a": a, "b": b}, words, [y])[-1] is y
    with pytest.raises(TypeError, match=r"^MatMul: the epilogue has 1 arrays, not 0$"):
        bind_arguments(spec, {"a": a, "b": b}, words)
    with pytest.raises(TypeError, match=r"^Combine: the epilogue has 0 arrays, not 1$"):
        bind_arguments(Combine(), {"partial": a, "y": y}, WORDS, [y])


def test_results_without_a_batch_are_not_computed_by_sample(lowering: Lowering) -> None:
    partial, y = lowering.new((2, 6)), lowering.new((6,))
    call = lowering.call(
        Combine(),
        pointers={"partial": partial, "y": y},
        words=WORDS,
        partition=Partition.PER_SAMPLE,
        blocks=2,
        reads=[partial],
        writes=[y],
    )
    assert (call.partition, call.blocks) == (Partition.ANY, 12)
    assert (call.reads, call.writes) == ({partial.buffer: False}, {y.buffer: False})


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "googlenet"])
def test_every_kernel_takes_as_many_arguments_as_its_calls_have(name: str, any_target: Target) -> None:
    """The kernels of a plan declare the pointers and the words that the plan gives them, in the same order."""
    network = zoo.find(name)
    shape = network.input_shape if name == "lenet5" else (3, 32, 32)
    plan = make_plan(nn.training_graph(network(), shape, nn.optimizers.SGD()), 4, any_target)
    for spec, arguments in {call.spec: call.arguments for call in plan.calls}.items():
        parameters = spec.build(any_target).parameters
        assert [p.is_buffer for p in parameters] == [isinstance(a, View) for a in arguments], spec
