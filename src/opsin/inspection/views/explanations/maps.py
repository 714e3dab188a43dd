"""Attributions as data of a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.explain import METHODS, Attribution
from opsin.inspection.page.arrays import Arrays

MAX_SIDE = 64
"""The largest side of a map in the size of the image; larger ones are shown as sums or maxima of squares of pixels."""
STRONGEST = 8
"""Channels whose weights are shown."""


def map_data(result: Attribution, features: NDArray[np.float64] | None, arrays: Arrays) -> dict[str, Any]:
    """Return an attribution: its raw map as an array, its figures and sentences, and the strongest channels.

    `features` are the values of the layer, channels × rows × columns; None if they are not shown. Large ones are left
    out.
    """
    values, block = reduced(result)
    data = result.to_data() | {"values": arrays.add(values.astype(np.float32)), "block": block}
    if result.channel_weights is not None:
        order = np.argsort(-np.abs(result.channel_weights), kind="stable")[:STRONGEST]
        data["channels"] = order.tolist()
        data["weights"] = arrays.add(result.channel_weights[order].astype(np.float32))
        if features is not None and max(features.shape[1:]) <= MAX_SIDE:
            data["features"] = arrays.add(features[order].astype(np.float32))
    return data


def reduced(result: Attribution) -> tuple[NDArray[np.float64], int]:
    """Return a raw map whose sides are at most `MAX_SIDE`, and the side of the squares of pixels that became a value.

    Shares of a sum are added; other values are represented by the largest one.
    """
    raw = result.raw
    block = -(-max(raw.shape) // MAX_SIDE)
    if block == 1:
        return raw, 1
    padding = [(0, -side % block) for side in raw.shape]
    rows, columns = (-(-side // block) for side in raw.shape)
    squares = np.pad(raw, padding).reshape(rows, block, columns, block)
    return (squares.sum(axis=(1, 3)) if result.method == "integrated-gradients" else squares.max(axis=(1, 3))), block


def methods_data() -> dict[str, Any]:
    """Return the names and descriptions of all methods."""
    return {
        name: {
            "title": method.title, "source": method.source, "idea": method.idea, "layer": method.needs_layer,
            "unsigned": name in ("gradient",),
        }
        for name, method in METHODS.items()
    }  # fmt: skip
