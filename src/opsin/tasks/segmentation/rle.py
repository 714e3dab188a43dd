"""Regions of COCO (Lin et al. 2014) as masks: run-length codes and polygons.

The results are those of pycocotools' `decode` and `frPyObjects`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.segmentation.pixels import MAX_MASK_PIXELS
from opsin.tasks.segmentation.problems import BAD_REGION, TOO_LARGE, MaskError

Mask = NDArray[np.bool_]
Points = tuple[NDArray[np.int64], NDArray[np.int64]]

SUBPIXELS = 5
"""Polygons are rasterized on a grid this many times finer than the pixels."""

MAX_BOUNDARY_POINTS = 2**24
"""Points of the finer grid on the outline of a region, which bound memory and time."""


def decode(counts: Sequence[int] | NDArray[Any], size: tuple[int, int]) -> Mask:
    """Return the mask of a code: the lengths of runs of 0, 1, 0, …, down the columns. Raise `MaskError`."""
    height, width = size
    lengths = checked_counts(counts, size)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def encode(mask: Mask) -> tuple[int, ...]:
    """Return the code of a mask H × W: the lengths of runs of 0, 1, 0, …, down the columns."""
    flat = np.asarray(mask, np.bool_).T.reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0).tolist()
    return tuple([0, *lengths] if flat.size and flat[0] else lengths)


def checked_counts(counts: Sequence[int] | NDArray[Any], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the run lengths of a code. Raise `MaskError` unless they add up to the pixels."""
    height, width = _checked(size)
    lengths = np.asarray(counts, np.int64).reshape(-1)
    if not len(lengths) or lengths.min() < 0 or lengths.max() > height * width or lengths.sum() != height * width:
        raise MaskError(f"the run lengths do not add up to {height} × {width} pixels", BAD_REGION)
    return lengths


def decompress(text: bytes) -> tuple[int, ...]:
    """Return the run lengths of a compressed code. Raise `MaskError` if it is cut short.

    Each number is written in groups of five bits, the lowest first, as characters from "0" on; bit 5 says that another
    group follows, and the highest bit of the last group is the sign. From the fourth number on, the difference to the
    number before the last is written.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        group = character - 48
        if not 0 <= group < 64 or shift > 60:
            raise MaskError("the run-length code contains characters that none has", BAD_REGION)
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise MaskError("the run-length code is cut short", BAD_REGION)
    if counts and not 0 <= min(counts) <= max(counts) <= MAX_MASK_PIXELS:
        raise MaskError("the run-length code contains impossible lengths", BAD_REGION)
    return tuple(counts)


def compress(counts: Sequence[int]) -> bytes:
    """Return the compressed code for run lengths, in the form that `decompress` reads."""
    text = bytearray()
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            group, value = value & 31, value >> 5
            is_last = value == (-1 if group & 16 else 0)
            text.append(48 + (group if is_last else group | 32))
            if is_last:
                break
    return bytes(text)


def rasterize(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Return the union of polygons, each x, y, x, y, … in pixels from the upper left corner. Raise `MaskError`."""
    mask = np.zeros(_checked(size), np.bool_)
    for polygon in polygons:
        start, block = _polygon(checked_polygon(polygon, size), size)
        mask[:, start : start + block.shape[1]] |= block
    return mask


def checked_polygon(polygon: Sequence[float], size: tuple[int, int]) -> Points:
    """Return the corners of a polygon on the finer grid, x and y. Raise `MaskError` if it cannot be rasterized."""
    height, width = _checked(size)
    points = np.asarray(polygon, np.float64)
    if len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise MaskError("a polygon has at least three points, x and y of each", BAD_REGION)
    if np.abs(points).max() > 4 * max(height, width) + 16:
        raise MaskError(f"a polygon lies far outside its image of {height} × {width} pixels", BAD_REGION)
    x, y = (np.trunc(SUBPIXELS * values + 0.5).astype(np.int64) for values in (points[0::2], points[1::2]))
    if int(_steps(x, y).sum()) + len(x) > MAX_BOUNDARY_POINTS:
        raise MaskError("the outline of a polygon is too long", TOO_LARGE)
    return x, y


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if not (height > 0 and width > 0 and height * width <= MAX_MASK_PIXELS):
        raise MaskError(f"a region of {height} × {width} pixels", TOO_LARGE)
    return height, width


def _polygon(corners: Points, size: tuple[int, int]) -> tuple[int, Mask]:
    """Return the first column that the polygon covers, and the mask of its columns.

    A pixel is inside if the outline crosses its column above it an odd number of times. A crossing below the last row
    falls on the first pixel of the next column, where it ends the run.
    """
    height, width = size
    u, v = _outline(*corners)
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    here, before = u[crossing], u[crossing - 1]
    column = (np.where(here < before, here, here - 1) + 0.5) / SUBPIXELS - 0.5
    row = (np.minimum(v[crossing], v[crossing - 1]) + 0.5) / SUBPIXELS - 0.5
    on_grid = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    if not on_grid.any():
        return 0, np.zeros((height, 0), np.bool_)
    columns = column[on_grid].astype(np.int64)
    rows = np.ceil(row[on_grid].clip(0, height)).astype(np.int64)
    start, count = int(columns.min()), int(columns.max() - columns.min()) + 1
    flips = np.bincount((columns - start) * height + rows, minlength=height * count + 1)
    inside: Mask = flips[: height * count].cumsum() % 2 == 1
    return start, inside.reshape(count, height).T


def _steps(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the length of each edge along its longer axis."""
    steps: NDArray[np.int64] = np.maximum(np.abs(np.roll(x, -1) - x), np.abs(np.roll(y, -1) - y))
    return steps


def _outline(x: NDArray[np.int64], y: NDArray[np.int64]) -> Points:
    """Return the points of the finer grid along the closed outline: one for each step along the longer axis of an edge.

    Each edge is drawn upwards along that axis, whatever its direction, so that neighbours share their outline.
    """
    steps = _steps(x, y)
    x_end, y_end = np.roll(x, -1), np.roll(y, -1)
    wide = np.abs(x_end - x) == steps
    flip = np.where(wide, x > x_end, y > y_end)
    long = np.where(wide, np.where(flip, x_end, x), np.where(flip, y_end, y))
    short = np.where(wide, np.where(flip, y_end, y), np.where(flip, x_end, x))
    rise = np.where(wide, y_end - y, x_end - x) * np.where(flip, -1, 1) / np.maximum(steps, 1)
    edge = np.repeat(np.arange(len(x)), steps + 1)
    along = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    along = np.where(flip[edge], steps[edge] - along, along)
    across = np.trunc(short[edge] + rise[edge] * along + 0.5).astype(np.int64)
    along = along + long[edge]
    return np.where(wide[edge], along, across), np.where(wide[edge], across, along)
