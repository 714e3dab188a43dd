"""Words for images that a network is too deep for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show


@contextmanager
def at_least(size: int, images: Tensor) -> Iterator[None]:
    """Where a layer inside does not fit and `images` are too small, the error says the size the network needs."""
    try:
        yield
    except ShapeError as error:
        rows_columns = images.shape[2:]
        if all(isinstance(length, int) and length >= size for length in rows_columns):
            raise
        raise ShapeError(
            f"{error}: this network takes {size} × {size} and larger ones, and was given {show(rows_columns)}"
        ) from None
