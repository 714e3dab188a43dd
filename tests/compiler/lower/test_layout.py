"""Operations that only change how data is read emit no calls; the others copy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from opsin import ops
from opsin.compiler.calls import Partition
from opsin.ir import Tensor, input_tensor
from opsin.kernels.ir import Target
from tests.compiler.lower.support import kernels, lowered

SHAPE = (4, 3, 6, 6)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: ops.transpose(x, (0, 2, 3, 1)),
        lambda x: ops.slice(x, (0, 1, 0, 1), (4, 3, 6, 5), (1, 1, 2, 2)),
        lambda x: ops.reshape(x, (4, 3, 36)),
        lambda x: ops.broadcast_to(ops.slice(x, (0, 0, 0, 0), (4, 3, 1, 1)), SHAPE),
    ],
    ids=["transpose", "slice", "reshape", "broadcast_to"],
)
def test_a_view_needs_no_call(view: Callable[[Tensor], Tensor], any_target: Target) -> None:
    x = input_tensor("x", SHAPE)
    y = ops.exp(x)
    calls = lowered(ops.negate(view(y)), [x], any_target)
    assert [call.label for call in calls] == ["exp", "negate"]


def test_flattening_channels_last_images_copies_them(any_target: Target) -> None:
    x = input_tensor("x", SHAPE)
    (copy,) = lowered(ops.flatten(x), [x], any_target)
    assert (kernels([copy]), copy.label, copy.partition) == (["Pointwise"], "reshape", Partition.PER_SAMPLE)


@pytest.mark.parametrize("interior", [(0, 0, 0, 0), (0, 0, 1, 1)], ids=["border", "gaps"])
def test_padding_fills_with_zeros_and_copies(interior: tuple[int, ...], any_target: Target) -> None:
    x = input_tensor("x", SHAPE)
    fill, copy = lowered(ops.pad(x, (0, 0, 1, 1), (0, 0, 0, 1), interior), [x], any_target)
    assert kernels([fill, copy]) == ["Pointwise", "Pointwise"]
    assert not fill.reads and fill.writes.keys() == copy.writes.keys()


def test_concatenation_copies_each_operand_to_its_place(any_target: Target) -> None:
    left, right = input_tensor("left", SHAPE), input_tensor("right", (4, 2, 6, 6))
    calls = lowered(ops.concat([left, right]), [left, right], any_target)
    assert [call.label for call in calls] == ["concat", "concat"]
    first, second = (call.arguments[1] for call in calls)  # Their operands come first.
    assert (first.shape, first.offset) == (SHAPE, 0) and first.buffer is second.buffer
    assert (second.shape, second.offset) == ((4, 2, 6, 6), 3)
