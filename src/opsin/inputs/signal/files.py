"""Read signals: CSV and TSV with a row for each moment, and NPY arrays."""

from __future__ import annotations

import re
from io import BytesIO
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.tasks.text import decode

NPY = b"\x93NUMPY"
MAX_BYTES = 2**27
MAX_CHANNELS = 1024
MAX_MISSING = 0.1
"""The largest share of values that may be missing; they are interpolated."""

TIME_NAMES = {"time", "t", "timestamp", "index", "sample", "seconds", "ms", ""}
"""Titles of a first column that counts moments, and is no channel."""

MISSING = {"", "nan", "na", "null", "none", "?"}


def read_signal(data: bytes, name: str) -> tuple[NDArray[np.float32], str]:
    """Return the signal of a file, float32 channels × moments, and what is odd about it, or "".

    Raise `DataError` if it holds no numbers, or too few of them.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{name}: it has more than {MAX_BYTES // 2**20} MiB; cut it into parts")
    values = _from_npy(data, name) if data.startswith(NPY) else _from_table(data, name)
    if not values.size:
        raise DataError(f"{name}: it holds no numbers")
    missing = ~np.isfinite(values)
    share = float(missing.mean())
    if share > MAX_MISSING or missing.all(axis=1).any():
        raise DataError(f"{name}: {share:.0%} of its values are missing; at most {MAX_MISSING:.0%} can be interpolated")
    remark = f"missing values are interpolated: {int(missing.sum()):,}" if share else ""
    return np.asarray(_interpolated(values, missing), np.float32), remark


def _from_npy(data: bytes, name: str) -> NDArray[np.float64]:
    try:
        array = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TokenError, TypeError, MemoryError):
        # NumPy parses the header as Python source, and reserves as much memory as it declares.
        raise DataError(f"{name}: it begins like an NPY file, and is damaged") from None
    if array.dtype.kind not in "iufb" or array.ndim not in (1, 2):
        raise DataError(
            f"{name}: it is an array of {array.dtype} with {array.ndim} dimensions; give channels × moments"
        )
    values = np.atleast_2d(array.astype(np.float64))
    return values.T if values.shape[0] > values.shape[1] else values


def _from_table(data: bytes, name: str) -> NDArray[np.float64]:
    """Return the columns of a table of numbers; a first line of titles and a first column of time are left out."""
    lines = [line for line in decode(data).splitlines() if line.strip() and not line.lstrip().startswith(("#", "%"))]
    if not lines:
        raise DataError(f"{name}: it is empty")
    separator = next((each for each in (";", "\t", ",") if each in lines[-1]), None)
    cells = [[cell.strip() for cell in (line.split(separator) if separator else line.split())] for line in lines]
    titles = cells[0] if any(_number(cell, separator) is None for cell in cells[0]) else []
    rows, width = cells[1:] if titles else cells, len(cells[-1])
    if not rows or width > MAX_CHANNELS:
        raise DataError(f"{name}: it holds no rows of numbers" if not rows else f"{name}: it has {width:,} columns")
    values = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        if len(row) != width:
            line = number + 1 + bool(titles)
            raise DataError(f"{name}: row {line} has {len(row)} values, and the last one {width}")
        for column, cell in enumerate(row):
            value = _number(cell, separator)
            if value is None:
                raise DataError(f"{name}: row {number + 1 + bool(titles)} has '{cell[:20]}', which is no number")
            values[number, column] = value
    counts = titles and re.sub(r"[\W_]+", "", titles[0].lower()) in TIME_NAMES and width > 1
    return np.ascontiguousarray(values[:, 1 if counts else 0 :].T)


def _number(cell: str, separator: str | None) -> float | None:
    """Return the number in a cell, NaN if it is missing, None if it is something else."""
    if cell.lower() in MISSING:
        return float("nan")
    text = cell.replace(",", ".") if separator == ";" else cell
    try:
        return float(text)
    except ValueError:
        return None


def _interpolated(values: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return channels × moments with lines between the neighbours of missing values."""
    moments = np.arange(values.shape[1])
    for channel, gaps in zip(values, missing, strict=True):
        if gaps.any():
            channel[gaps] = np.interp(moments[gaps], moments[~gaps], channel[~gaps])
    return values
