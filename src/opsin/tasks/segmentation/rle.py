"""Regions of COCO (Lin et al. 2014) as masks: run-length codes and polygons.

The results are those of pycocotools' `decode` and `frPyObjects`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.segmentation.pixels import MAX_MASK_PIXELS
from opsin.tasks.segmentation.problems import BAD_REGION, TOO_LARGE, MaskError

Mask = NDArray[np.bool_]

SUBPIXELS = 5
"""Polygons are rasterized on a grid this many times finer than the pixels."""

MAX_BOUNDARY_POINTS = 2**24
"""Points of the finer grid on the outline of a region, which bound memory and time."""


def decode(counts: Sequence[int] | NDArray[Any], size: tuple[int, int]) -> Mask:
    """Return the mask of a code: the lengths of runs of 0, 1, 0, …, down the columns. Raise `MaskError`."""
    height, width = _checked(size)
    lengths = np.asarray(counts, np.int64).reshape(-1)
    if not len(lengths) or lengths.min() < 0 or lengths.max() > height * width or lengths.sum() != height * width:
        raise MaskError(f"the run lengths do not add up to {height} × {width} pixels", BAD_REGION)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


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


def rasterize(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Return the union of polygons, each x, y, x, y, … in pixels from the upper left corner. Raise `MaskError`."""
    height, width = _checked(size)
    mask = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        mask |= _polygon(np.asarray(polygon, np.float64), height, width)
    return mask


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if not (height > 0 and width > 0 and height * width <= MAX_MASK_PIXELS):
        raise MaskError(f"a region of {height} × {width} pixels", TOO_LARGE)
    return height, width


def _polygon(points: NDArray[np.float64], height: int, width: int) -> Mask:
    """Return the pixels whose parity of crossings above them in their column, counted from the upper left, is odd."""
    u, v = _outline(points, height, width)
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    here, before = u[crossing], u[crossing - 1]
    column = (np.where(here < before, here, here - 1) + 0.5) / SUBPIXELS - 0.5
    row = (np.minimum(v[crossing], v[crossing - 1]) + 0.5) / SUBPIXELS - 0.5
    on_grid = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    rows = np.ceil(row[on_grid].clip(0, height)).astype(np.int64)
    flips = np.bincount(column[on_grid].astype(np.int64) * height + rows, minlength=height * width + 1)
    inside: Mask = flips[:-1].cumsum() % 2 == 1
    return inside.reshape(width, height).T


def _outline(points: NDArray[np.float64], height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the points of the finer grid along the closed outline of a polygon."""
    if len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise MaskError("a polygon has at least three points, x and y of each", BAD_REGION)
    limit = 4 * max(height, width) + 16
    if np.abs(points).max() > limit:
        raise MaskError(f"a polygon lies far outside its image of {height} × {width} pixels", BAD_REGION)
    x, y = (np.trunc(SUBPIXELS * values + 0.5).astype(np.int64) for values in (points[0::2], points[1::2]))
    steps = np.maximum(np.abs(np.roll(x, -1) - x), np.abs(np.roll(y, -1) - y))
    if int(steps.sum()) + len(steps) > MAX_BOUNDARY_POINTS:
        raise MaskError("the outline of a polygon is too long", TOO_LARGE)
    edges = list(_edges(x, y, steps))
    return np.concatenate([u for u, _ in edges]), np.concatenate([v for _, v in edges])


def _edges(
    x: NDArray[np.int64], y: NDArray[np.int64], steps: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the points of each edge, one for each step along its longer axis."""
    corners = list(zip(x.tolist(), y.tolist(), strict=True))
    for (x0, y0), (x1, y1), count in zip(corners, corners[1:] + corners[:1], steps.tolist(), strict=True):
        if not count:
            yield np.array([x0]), np.array([y0])
            continue
        wide = abs(x1 - x0) == count
        flip = x0 > x1 if wide else y0 > y1
        (xs, ys), (xe, ye) = ((x1, y1), (x0, y0)) if flip else ((x0, y0), (x1, y1))
        along = np.arange(count + 1)
        across = np.trunc((ys if wide else xs) + ((ye - ys) if wide else (xe - xs)) / count * along + 0.5)
        u, v = (along + xs, across.astype(np.int64)) if wide else (across.astype(np.int64), along + ys)
        yield (u[::-1], v[::-1]) if flip else (u, v)
