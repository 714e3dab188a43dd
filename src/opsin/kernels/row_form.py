"""A call of a kernel that computes one row of results from the rows of the image under its window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsin.kernels.spec import KernelSpec


@dataclass(frozen=True)
class RowForm:
    """`spec` with `words` and `blocks` computes one row of results from `span` rows of the images `images`, the numbers
    of their pointers.

    Row r of `count` rows of results reads rows r · `stride` - `top` up to r · `stride` - `top` + `span` - 1. Those
    outside the image have the value `fill`; it is None if the kernel must not read them. One row needs no more than
    `scratch` words of scratch, if that is known.
    """

    spec: KernelSpec
    words: tuple[int, ...]
    blocks: int
    count: int
    span: int = 1
    stride: int = 1
    top: int = 0
    fill: float | int | None = None
    images: tuple[int, ...] = (0,)
    scratch: int | None = None
