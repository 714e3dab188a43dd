"""Sizes of images: the error for those that are too small for the depth of a network, and resizing of features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show
from opsin.ops.sliding import image


@contextmanager
def at_least(size: int, images: Tensor) -> Iterator[None]:
    """Add the minimum image `size` of the network to `ShapeError`s inside if `images` are smaller than that."""
    try:
        yield
    except ShapeError as error:
        rows_columns = images.shape[2:]
        if all(isinstance(length, int) and length >= size for length in rows_columns):
            raise
        raise ShapeError(
            f"{error.reason}: this network takes {size} × {size} and larger ones, and was given {show(rows_columns)}"
        ).in_layer(error.layer) from None


def resized_like(x: Tensor, other: Tensor, mode: str = "bilinear") -> Tensor:
    """Resize the maps `x` to the rows and columns of `other`; see `ops.axis_weights` for the modes."""
    _, _, size = image("resize", other.type)
    return ops.resample2d(x, size, mode)
