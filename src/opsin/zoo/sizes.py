"""Words for pictures that a network is too deep for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opsin.errors import ShapeError
from opsin.graph import Tensor, show


@contextmanager
def at_least(size: int, pictures: Tensor) -> Iterator[None]:
    """Where a layer inside does not fit and `pictures` are too small, the error says the size the network needs."""
    try:
        yield
    except ShapeError as error:
        rows_columns = pictures.shape[2:]
        if all(isinstance(length, int) and length >= size for length in rows_columns):
            raise
        raise ShapeError(
            f"{error}: this network takes {size} × {size} and larger ones, and was given {show(rows_columns)}"
        ) from None
