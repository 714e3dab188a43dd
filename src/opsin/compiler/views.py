"""Tensors in memory: buffers, and views that map a logical shape to one by strides.

The logical order of axes is N C H W, the order in memory N H W C. Only strides know about it: transposing, slicing,
broadcasting and most reshaping move no data.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from opsin.ir import FLOAT, INT, INT8, Tensor
from opsin.kernels.ir import BF16, ELEMENT_BYTES, F32, I8, I32

ELEMENTS = {FLOAT: F32, INT: I32, INT8: I8}
"""The elements that tensors of each dtype have in memory, unless the precision of a program narrows them."""
WORD_BYTES = 4
"""Memory is planned in words of the size of a float32."""


@dataclass(eq=False)
class Buffer:
    """`size` elements of memory. `role`: input, variable, table (constant data) or temporary."""

    size: int
    element: str
    role: str
    name: str = ""
    data: object = None

    @property
    def words(self) -> int:
        """The size in words of four bytes, rounded up."""
        return -(-self.size * ELEMENT_BYTES[self.element] // WORD_BYTES)


@dataclass(frozen=True)
class View:
    """A tensor of `shape` in `buffer`, element `offset + Σ strides · index`."""

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_narrow(self) -> bool:
        """Whether the elements are bfloat16."""
        return self.buffer.element == BF16

    def is_dense(self, order: tuple[int, ...]) -> bool:
        """Whether the elements are contiguous in `order`, the outermost dimension first."""
        step = 1
        for d in reversed(order):
            n = self.shape[d]
            if n != 1:
                if self.strides[d] != step:
                    return False
                step *= n
        return True

    @property
    def is_broadcast(self) -> bool:
        """Whether a dimension repeats its elements."""
        return 0 in self.strides and any(s == 0 and n != 1 for n, s in zip(self.shape, self.strides, strict=True))

    def transposed(self, axes: tuple[int, ...]) -> View:
        return View(self.buffer, tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes), self.offset)

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """Return the view with dimensions of 1 repeated, and new ones in front, by a stride of 0."""
        if shape == self.shape:
            return self
        leading_axes = len(shape) - len(self.shape)
        strides = [0] * leading_axes + [
            0 if n == 1 and n != to else stride
            for n, to, stride in zip(self.shape, shape[leading_axes:], self.strides, strict=True)
        ]
        return View(self.buffer, shape, tuple(strides), self.offset)

    def sliced(self, starts: tuple[int, ...], stops: tuple[int, ...], steps: tuple[int, ...]) -> View:
        ranges = zip(starts, stops, steps, strict=True)
        shape = tuple(max(0, -(-(stop - start) // step)) for start, stop, step in ranges)
        offset = self.offset + sum(start * stride for start, stride in zip(starts, self.strides, strict=True))
        strides = tuple(stride * step for stride, step in zip(self.strides, steps, strict=True))
        return View(self.buffer, shape, strides, offset)

    def flipped(self, axes: tuple[int, ...]) -> View:
        strides, offset = list(self.strides), self.offset
        for axis in axes:
            offset += (self.shape[axis] - 1) * strides[axis]
            strides[axis] = -strides[axis]
        return View(self.buffer, self.shape, tuple(strides), offset)

    def reshaped(self, shape: tuple[int, ...]) -> View | None:
        """Return the same elements in the same logical order under `shape`, or None if that needs a copy."""
        strides = _reshaped_strides(self.shape, self.strides, shape)
        return None if strides is None else View(self.buffer, shape, strides, self.offset)

    @property
    def order(self) -> tuple[int, ...]:
        """Dimensions from the largest stride to the smallest."""
        return order_in_memory(self.strides)


Destinations: TypeAlias = "dict[Tensor, View]"
"""The views that some tensors must be written to: new values of variables, in the memory of the old ones."""


def order_in_memory(strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return the dimensions from the largest stride to the smallest."""
    return tuple(sorted(range(len(strides)), key=[-abs(stride) for stride in strides].__getitem__))


def dense_strides(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous array with its dimensions in `order`, the outermost first."""
    strides = [0] * len(shape)
    step = 1
    for d in reversed(order):
        strides[d] = step
        step *= shape[d]
    return tuple(strides)


def row_major(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))


def channels_last(rank: int) -> tuple[int, ...]:
    """Return the order N H W C for images, and the logical order for everything else."""
    return (0, 2, 3, 1) if rank == 4 else row_major(rank)


FILTERS = (2, 3, 1, 0)
"""Convolution weights K C kh kw in memory: kh kw C K."""


def _reshaped_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], new_shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    if prod(new_shape) == 0:
        return None
    pairs = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result: list[int] = []
    i = 0
    left, stride = 1, 1
    # Runs of evenly strided dimensions are cut into new dimensions, from the front.
    runs: list[tuple[int, int]] = []
    for n, s in pairs:
        if runs and runs[-1][1] == s * n:
            runs[-1] = (runs[-1][0] * n, s)
        else:
            runs.append((n, s))
    for n in new_shape:
        if n == 1:
            result.append(0)
            continue
        if left == 1:
            if i == len(runs):
                return None
            left, step = runs[i]
            stride = step * left
            i += 1
        if left % n:
            return None
        left //= n
        stride //= n
        result.append(stride)
    return tuple(result) if left == 1 and i == len(runs) else None
