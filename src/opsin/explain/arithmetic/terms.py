"""The terms of convolutions, matrix products, pooling and sums: which numbers each result is made of, in order.

Results are given by `places`, one row of indices for each. Arrays hold one image: N = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as every
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.explain.arithmetic.float32 import Floats
from opsin.explain.arithmetic.orders import Order
from opsin.ir import Node
from opsin.kernels.resample import nonzero_runs
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.ops import axis_weights

Places = NDArray[np.int64]
"""Results × rank."""
NO_DILATION: dict[str, Any] = {"dilation": (1, 1)}
"""What the attributes of pooling lack compared with those of convolutions."""


@dataclass(frozen=True)
class Terms:
    """`left[t, i] · right[t, i]` is term t of result i; there is no factor `right` in a plain sum.

    `sources[t, i]` is where `left[t, i]` comes from in the first operand; in the padding, it is outside. `inside` says
    which are inside. `weights[t, i]` is the same for `right` in the second operand. `segments[s, i]` is what the sum of
    segment s is multiplied by, if the segments have weights.
    """

    left: Floats
    right: Floats | None
    sources: NDArray[np.int64]
    inside: NDArray[np.bool_]
    weights: NDArray[np.int64] | None = None
    segments: Floats | None = None


def convolution_terms(node: Node, x: Floats, w: Floats, places: Places, axes: Sequence[str]) -> Terms:
    """Return the terms of `conv2d` in the order of the loops `axes`; in the padding, `left` is 0."""
    filters, channels, *kernel = w.shape
    taps = _taps({CHANNEL: channels, ROW: kernel[0], COLUMN: kernel[1]}, axes)
    filter_numbers = places[:, 1]
    first_channel = filter_numbers // (filters // node.attrs["groups"]) * channels
    rows, columns = _positions(node, places, taps)
    sources = np.stack([np.zeros_like(rows), first_channel + taps[CHANNEL][:, None], rows, columns], -1)
    inside = _inside(rows, columns, x.shape)
    weights = np.stack(
        np.broadcast_arrays(filter_numbers, *(taps[axis][:, None] for axis in (CHANNEL, ROW, COLUMN))), -1
    )
    return Terms(_gather(x, sources, inside), w[tuple(np.moveaxis(weights, -1, 0))], sources, inside, weights)


def transposed_terms(node: Node, x: Floats, w: Floats, places: Places, order: Summation) -> Terms:
    """Return the terms of `conv_transpose2d` for `places` of one phase: the values whose kernels reach each result.

    A phase are the results at the same position between two strides; the same taps reach them.
    """
    channels, filters, *kernel = w.shape
    groups, sizes = node.attrs["groups"], dict(zip((ROW, COLUMN), kernel, strict=True))
    taps = _taps(sizes | {CHANNEL: channels // groups}, order.axes)
    for axis in {ROW, COLUMN} - set(order.descending):
        taps[axis] = sizes[axis] - 1 - taps[axis]
    distances = [_distances(node, places[:1], taps, axis)[:, 0] for axis in (0, 1)]
    strides = node.attrs["stride"]
    reach = np.flatnonzero((distances[0] % strides[0] == 0) & (distances[1] % strides[1] == 0))
    taps = {axis: numbers[reach] for axis, numbers in taps.items()}
    rows, columns = (_distances(node, places, taps, axis) // strides[axis] for axis in (0, 1))
    inputs = places[:, 1] // filters * (channels // groups) + taps[CHANNEL][:, None]
    sources = np.stack([np.zeros_like(rows), inputs, rows, columns], -1)
    inside = _inside(rows, columns, x.shape)
    weights = np.stack(
        np.broadcast_arrays(inputs, places[:, 1] % filters, *(taps[axis][:, None] for axis in (ROW, COLUMN))), -1
    )
    return Terms(_gather(x, sources, inside), w[tuple(np.moveaxis(weights, -1, 0))], sources, inside, weights)


def _distances(node: Node, places: Places, taps: dict[str, NDArray[np.int64]], axis: int) -> NDArray[np.int64]:
    """Return how far from the first row or column, in steps of the result, the source of each term lies."""
    attrs, name = node.attrs, (ROW, COLUMN)[axis]
    start = places[:, 2 + axis] + attrs["padding"][axis][0]
    return np.asarray(start - taps[name][:, None] * attrs["dilation"][axis])


def phases(node: Node, places: Places) -> list[NDArray[np.intp]]:
    """Return the numbers of the places whose terms are at the same taps: one group unless `node` is transposed."""
    if node.op.name != "conv_transpose2d":
        return [np.arange(len(places))]
    offsets = [padding[0] for padding in node.attrs["padding"]]
    _, numbers = np.unique((places[:, 2:] + offsets) % node.attrs["stride"], axis=0, return_inverse=True)
    return [np.flatnonzero(numbers.reshape(-1) == n) for n in range(numbers.max() + 1)]


def resampling_terms(node: Node, x: Floats, places: Places) -> Terms:
    """Return the terms of `resample2d`: the values of each row times weights of columns; rows have weights, too."""
    tables = [
        nonzero_runs(axis_weights(node.attrs["mode"], source, size))
        for source, size in zip(node.attrs["source"], node.attrs["size"], strict=True)
    ]
    (row_starts, row_counts, row_weights), (column_starts, column_counts, column_weights) = tables
    taps = _taps({ROW: row_weights.shape[1], COLUMN: column_weights.shape[1]}, (ROW, COLUMN))
    row, column = places[:, 2], places[:, 3]
    rows, columns = row_starts[row] + taps[ROW][:, None], column_starts[column] + taps[COLUMN][:, None]
    inside = (taps[ROW][:, None] < row_counts[row]) & (taps[COLUMN][:, None] < column_counts[column])
    sources = np.stack([np.zeros_like(rows), places[:, 1] + 0 * rows, rows, columns], -1)
    right = column_weights[column].T[taps[COLUMN]]
    return Terms(_gather(x, sources, inside), right, sources, inside, None, row_weights[row].T)


def product_terms(node: Node, a: Floats, b: Floats, places: Places) -> Terms:
    """Return the terms of `matmul`."""
    depth = np.arange(a.shape[0 if node.attrs["transpose_a"] else 1])[:, None]
    row, column = places[:, 0] + 0 * depth, places[:, 1] + 0 * depth
    depth = depth + 0 * row
    left = (depth, row) if node.attrs["transpose_a"] else (row, depth)
    right = (column, depth) if node.attrs["transpose_b"] else (depth, column)
    inside = np.ones(depth.shape, np.bool_)
    return Terms(a[left], b[right], np.stack(left, -1), inside, np.stack(right, -1))


def pooling_terms(node: Node, x: Floats, places: Places) -> Terms:
    """Return the numbers under the windows of a pooling, row by row; in the padding, `left` is 0."""
    rows_of_window, columns_of_window = node.attrs["window"]
    taps = _taps({ROW: rows_of_window, COLUMN: columns_of_window}, (ROW, COLUMN))
    rows, columns = _positions(node, places, taps)
    sources = np.stack([np.zeros_like(rows), places[:, 1] + 0 * rows, rows, columns], -1)
    inside = _inside(rows, columns, x.shape)
    return Terms(_gather(x, sources, inside), None, sources, inside)


def sum_terms(node: Node, x: Floats, places: Places, order: Order | None) -> Terms:
    """Return the numbers that `sum` or `max` reduces, in the order of memory."""
    axes: tuple[int, ...] = node.attrs["axes"]
    if order is not None and order.summation is not None and not order.summation.axes and len(order.axes) == x.ndim:
        axes = tuple(axis for axis in order.axes if axis in axes)
    indices = np.array(list(every(*(range(x.shape[axis]) for axis in axes))), np.int64).reshape(-1, len(axes))
    sources = np.repeat(places[None], len(indices), 0)
    sources[:, :, axes] = indices[:, None, :]
    return Terms(x[tuple(np.moveaxis(sources, -1, 0))], None, sources, np.ones(sources.shape[:2], np.bool_))


def _taps(sizes: dict[str, int], axes: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return the index of each term along every axis; axes that are not looped over have the index 0."""
    grid = np.meshgrid(*(np.arange(sizes[axis]) for axis in axes), indexing="ij")
    taps = {axis: np.asarray(numbers.reshape(-1)) for axis, numbers in zip(axes, grid, strict=True)}
    return {axis: taps.get(axis, np.zeros(grid[0].size, np.int64)) for axis in sizes}


def _positions(
    node: Node, places: Places, taps: dict[str, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row and the column of the input that each term reads."""
    attrs = NO_DILATION | node.attrs
    rows, columns = (
        places[:, 2 + axis] * attrs["stride"][axis] - attrs["padding"][axis][0]
        + taps[name][:, None] * attrs["dilation"][axis]
        for axis, name in enumerate((ROW, COLUMN))
    )  # fmt: skip
    return rows, columns


def _inside(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.asarray((rows >= 0) & (rows < shape[2]) & (columns >= 0) & (columns < shape[3]))


def _gather(x: Floats, sources: NDArray[np.int64], inside: NDArray[np.bool_]) -> Floats:
    """Return the numbers of `x` at `sources`, and 0 outside."""
    safe = np.where(inside[..., None], sources, 0)
    return np.where(inside, x[tuple(np.moveaxis(safe, -1, 0))], np.float32(0.0))
