"""The two maps behind a weight's gradient: the output's gradient δ, and what the weight was multiplied by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.explain.backpropagation.backward import Pass
from opsin.explain.backpropagation.uses import CONV, LINEAR, SCALE, TRANSPOSED, Use
from opsin.ops.sliding import Sliding

Floats = NDArray[np.float32]
Index = tuple[int, ...]
"""The place of a weight in its parameter."""


@dataclass(frozen=True, eq=False)
class Window:
    """The values that one weight was multiplied by: those of the map `image` under a tap of the kernel.

    Value (y, x) of the window is element (top + y · stride, left + x · stride) of the map, and 0 beyond its border;
    `inside` is false there. All arrays are rows × columns; those of a vector have one row.
    """

    image: Floats
    delta: Floats
    top: int
    left: int
    stride: tuple[int, int]
    values: Floats
    inside: NDArray[np.bool_]


def windows(use: Use, step: Pass, index: Index) -> Window:
    """Return δ and the values under the weight at `index`, for one use of a convolution or a linear layer."""
    if use.kind == LINEAR:
        return _linear(use, step, index)
    if use.kind not in (CONV, TRANSPOSED):
        return _by_channel(use, step, index)
    large, small = step.values[use.image], step.gradients[use.output]
    if use.kind == TRANSPOSED:  # the input takes the part of δ, and δ that of the image
        large, small = small, large
    k, c, i, j = index
    attrs = use.node.attrs
    filters, depth = use.node.inputs[1].shape[:2]
    channel = k // (int(str(filters)) // attrs["groups"]) * int(str(depth)) + c
    slide = sliding(use, large.shape[2:])
    (sh, sw), (dh, dw), ((top, _), (left, _)) = slide.stride, slide.dilation, slide.padding
    number = i * slide.kernel[1] + j
    under, inside = (list(slide.taps(slide.pad(x)))[number] for x in (large[0, channel], np.ones(slide.size, bool)))
    return Window(large[0, channel], small[0, k], i * dh - top, j * dw - left, (sh, sw), under, inside)


def sliding(use: Use, size: tuple[int, ...]) -> Sliding:
    """Return the window of a convolution over images of `size` (rows, columns)."""
    rows, columns = use.node.inputs[1].shape[2:]
    attrs = use.node.attrs
    kernel = int(str(rows)), int(str(columns))
    return Sliding((size[0], size[1]), kernel, attrs["stride"], attrs["padding"], attrs["dilation"])


def tap_windows(use: Use, step: Pass, tap: int, count: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return δ and the values under tap number `tap` of a convolution, and whether these are inside the map.

    δ is groups × K/groups × 1 × OH × OW, the values are groups × 1 × C/groups × OH × OW; of each, the first `count`
    groups and channels.
    """
    large, small = step.values[use.image][0], step.gradients[use.output][0]
    if use.kind == TRANSPOSED:
        large, small = small, large
    groups, few = use.node.attrs["groups"], slice(count)
    slide = sliding(use, large.shape[1:])
    under, inside = (
        list(slide.taps(slide.pad(x)))[tap]
        for x in (large.reshape(groups, -1, *slide.size)[few, few], np.ones(slide.size, bool))
    )
    return small.reshape(groups, -1, 1, *small.shape[1:])[few, few], under[:, None], inside


def _linear(use: Use, step: Pass, index: Index) -> Window:
    """Return one row of values for each row of the layer's input, usually one for an image."""
    attrs = use.node.attrs
    first = use.node.inputs[0] is not use.image  # the parameter is the left operand
    row, column = index[::-1] if attrs["transpose_a" if first else "transpose_b"] else index
    # For x · w, w is inputs × outputs; for w · x, outputs × inputs.
    source, target = (column, row) if first else (row, column)
    x, delta = step.values[use.image], step.gradients[use.output]
    x = x.T if attrs["transpose_b" if first else "transpose_a"] else x
    x, delta = (x.T, delta.T) if first else (x, delta)
    values, gradients = x[:, source : source + 1].T, delta[:, target : target + 1].T
    return Window(x, gradients, 0, source, (1, 1), values, np.ones(values.shape, bool))


def _by_channel(use: Use, step: Pass, index: Index) -> Window:
    channel = index[0] if len(index) == 1 else max(index)
    delta = _map(step.gradients[use.output], channel)
    if use.kind != SCALE:
        ones = np.ones_like(delta)
        return Window(ones, delta, 0, 0, (1, 1), ones, np.ones(delta.shape, bool))
    assert use.mean is not None and use.root is not None
    mean, root = (step.values[t].ravel()[channel] for t in (use.mean, use.root))
    normalized = ((_map(step.values[use.image], channel) - mean) * root).astype(np.float32)
    return Window(normalized, delta, 0, 0, (1, 1), normalized, np.ones(delta.shape, bool))


def _map(array: Floats, channel: int) -> Floats:
    values: Floats = array[0, channel]
    return values if values.ndim == 2 else values.reshape(1, -1)
