"""Python's operators on symbolic tensors, defined by the operations of this package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from opsin.base.errors import UsageError
from opsin.ir import Dim, Size, Tensor
from opsin.ir.arguments import called, dim, dims, real, whole
from opsin.ir.operators import provide
from opsin.ops.arithmetic import add, divide, multiply, negate, square, subtract
from opsin.ops.compare import equal, greater
from opsin.ops.constant import as_tensor, as_tensors
from opsin.ops.extrema import maximum
from opsin.ops.matmul import matmul
from opsin.ops.registry import shape_error
from opsin.ops.reshape import reshape
from opsin.ops.slice_pad import slice as cut
from opsin.ops.unary import absolute, exp, power


def less(a: Any, b: Any) -> Tensor:
    return greater(b, a)


def at_least(a: Any, b: Any) -> Tensor:
    a, b = as_tensors(a, b)
    return maximum(greater(a, b), equal(a, b))


def at_most(a: Any, b: Any) -> Tensor:
    return at_least(b, a)


def power_of(base: Any, exponent: Any) -> Tensor:
    """Return base ** exponent, of which one is a number."""
    if isinstance(base, Tensor) and isinstance(exponent, Tensor):
        raise UsageError("one of base and exponent must be a number; opsin.ops.exp and opsin.ops.log make other powers")
    if isinstance(base, Tensor):
        number = real("an exponent", exponent)
        return square(base) if number == 2 else power(base, number)
    number = real("the base of a power", base)
    if number <= 0:
        raise UsageError(f"the base of a power must be above 0, not {number:g}")
    return exp(multiply(exponent, math.log(number)))


def product(a: Any, b: Any) -> Tensor:
    return matmul(as_tensor(a), as_tensor(b))


def take(x: Tensor, key: Any) -> Tensor:
    """Return x[key] for numbers, slices, None and …, as in NumPy."""
    keys = _by_axis(x, key if isinstance(key, tuple) else (key,))
    ranges: list[tuple[Dim, Dim, int]] = [
        _range(x, axis, item) for axis, item in enumerate(item for item in keys if item is not None)
    ]
    whole_axes = [(0, size, 1) for size in x.shape]
    starts, stops, steps = [r[0] for r in ranges], [r[1] for r in ranges], [r[2] for r in ranges]
    sliced = x if ranges == whole_axes else cut(x, starts, stops, steps)
    sizes, shape = iter(sliced.shape), list[Dim]()
    for item in keys:
        size = 1 if item is None else next(sizes)
        if item is None or isinstance(item, slice):
            shape.append(size)
    return reshape(sliced, shape)


def _by_axis(x: Tensor, keys: tuple[Any, ...]) -> list[Any]:
    """Expand … in an index: return one key per axis, and None for new axes."""
    if sum(item is Ellipsis for item in keys) > 1:
        raise shape_error("an index has at most one …")
    missing_axes = x.rank - sum(item is not None and item is not Ellipsis for item in keys)
    if missing_axes < 0:
        raise shape_error(f"{x.type} has {x.rank} axes, too few for an index with {x.rank - missing_axes}")
    place = next((at for at, item in enumerate(keys) if item is Ellipsis), len(keys))
    return [*keys[:place], *[slice(None)] * missing_axes, *keys[place + 1 :]]


def _range(x: Tensor, axis: int, item: Any) -> tuple[Dim, Dim, int]:
    """Return start, stop and step along `axis`."""
    size = x.shape[axis]
    if not isinstance(item, slice):
        return _single(x, axis, item)
    step = 1 if item.step is None else whole("the step of a slice", item.step)
    if step < 1:
        raise UsageError(f"the step of a slice must be at least 1, not {step}")
    if item.start is None and item.stop is None:
        return 0, size, step
    if isinstance(size, Size):
        start = dim("the start of a slice", item.start or 0)
        stop = size if item.stop is None else dim("the stop of a slice", item.stop)
        if any(not isinstance(end, Size) and end < 0 for end in (start, stop)):
            raise shape_error(f"a slice of the free axis {axis} of {x.type} is counted from its front")
        return start, stop, step
    limits = [None if end is None else whole("an end of a slice", end) for end in (item.start, item.stop)]
    return slice(limits[0], limits[1], step).indices(size)


def _single(x: Tensor, axis: int, item: Any) -> tuple[Dim, Dim, int]:
    """Return one index of an axis as start, stop and step."""
    size = x.shape[axis]
    if isinstance(item, bool | list) or getattr(item, "ndim", False) or isinstance(item, Tensor):
        raise UsageError(
            f"an index is a number, a slice, None or …, not {called(item)}; see opsin.ops.where and opsin.ops.concat"
        )
    at = whole("an index", item)
    first = at + size if at < 0 and not isinstance(size, Size) else at
    if isinstance(first, Size) or first < 0 or (not isinstance(size, Size) and first >= size):
        raise shape_error(f"index {at} is outside axis {axis} of {x.type}")
    return first, first + 1, 1


def shaped(x: Tensor, shape: Sequence[Dim]) -> Tensor:
    return reshape(x, dims("a shape", shape))


provide(
    add=add, subtract=subtract, multiply=multiply, divide=divide, power=power_of, matmul=product, negate=negate,
    absolute=absolute, greater=greater, less=less, at_least=at_least, at_most=at_most, take=take, reshape=shaped,
)  # fmt: skip
