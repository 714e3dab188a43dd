"""The error for images that are too small for the depth of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show


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
