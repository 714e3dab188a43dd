"""Whole numbers of 8 and 16 bits in NumPy: the meaning of the narrow integers of the kernel IR.

Lanes that hold several (`nodes.PACKED`) are uint32. Sums wrap around at 32 bits, so their order makes no difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Lanes = NDArray[np.uint32]
Sums = NDArray[np.int32]


def _dot(a: NDArray[Any], b: NDArray[Any], c: Sums) -> Sums:
    """Add to each of `c` the products of as many numbers of `a` and `b` as share its lane."""
    products = a.astype(np.int64) * b.astype(np.int64)
    sums: Sums = (products.reshape(c.size, -1).sum(1) + c).astype(np.int32)
    return sums


def dot_pairs(a: Lanes, b: Lanes, c: Sums) -> Sums:
    """Return `c` plus the products of both int16 of the pairs `a` and `b`."""
    return _dot(a.view(np.int16), b.view(np.int16), c)


def dot_quads(a: Lanes, b: Lanes, c: Sums) -> Sums:
    """Return `c` plus the products of the four unsigned bytes of `a` and the four signed bytes of `b`."""
    return _dot(a.view(np.uint8), b.view(np.int8), c)


def multiply_high(a: Sums, b: Sums) -> Sums:
    """Return the upper 32 bits of the signed 64-bit products of `a` and `b`: ⌊a · b / 2³²⌋."""
    upper: Sums = ((a.astype(np.int64) * b.astype(np.int64)) >> np.int64(32)).astype(np.int32)
    return upper
