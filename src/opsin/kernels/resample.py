"""Resampling: nearest, bilinear and area, up and down, forward and adjoint, as one kernel over tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.ir import F32, I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, each, over_lanes


def runs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tables of one axis, from its weights `matrix` (size × source), zero but for a run in each row.

    Returns the runs' starts (i32, size), counts (i32, size; 0 where a row is all zeros) and weights
    (float32, size × the longest run, at least 1; padded by zeros).
    """
    size, source = matrix.shape
    used = matrix != 0
    starts = np.where(used.any(1), used.argmax(1), 0)
    counts = np.where(used.any(1), source - used[:, ::-1].argmax(1) - starts, 0)
    weights = np.zeros((size, max(1, counts.max(initial=0))), np.float32)
    for row, (start, count) in enumerate(zip(starts, counts, strict=True)):
        weights[row, :count] = matrix[row, start : start + count]
    return starts.astype(np.int32), counts.astype(np.int32), weights


@dataclass(frozen=True)
class _Axis:
    """The tables of one axis, as the kernel's arguments."""

    starts: Pointer
    counts: Pointer
    weights: Pointer
    longest: Value

    def run(self, k: Builder, position: Value) -> tuple[Value, Value, Pointer]:
        """The start, the count and the weights of one result's run."""
        start, count = (k.convert("index", k.load(table, position)) for table in (self.starts, self.counts))
        return start, count, k.offset(self.weights, position * self.longest)


@dataclass(frozen=True)
class _Pixel:
    """One pixel of the result: where its run of rows and columns begins, their weights, and its own place."""

    source: Pointer
    row_stride: Value
    row_weights: Pointer
    column_weights: Pointer
    goal: Pointer


@dataclass(frozen=True)
class Resample(KernelSpec):
    """y = A x Bᵀ for every image and channel: A for the rows, B for the columns, both given by `runs`.

    y[r, c] = Σᵢ A[r][i] · Σⱼ B[c][j] · x[start_A[r] + i, start_B[c] + j].

    Arguments: x, y, then starts, counts and weights of the rows, the same of the columns, then height,
    width, out_height, out_width, and the longest runs (the weights' second extent) of the rows and of the
    columns. x is N × height × width × channels, y is N × out_height × out_width × channels. A block is
    one image.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "row_starts", "row_counts", "row_weights", "column_starts", "column_counts", "column_weights"),
        ("H", "W", "OH", "OW", "row_taps", "column_taps"),
        elements=dict.fromkeys(("row_starts", "row_counts", "column_starts", "column_counts"), I32),
    )

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("resample")
        x, y = k.buffer("x"), k.buffer("y")
        tables = [_buffers(k, name) for name in ("row", "column")]
        height, width, out_height, out_width = (
            k.index(name) for name in ("height", "width", "out_height", "out_width")
        )
        rows, columns = (_Axis(*t, k.index(f"longest_{n}_run")) for t, n in zip(tables, ("row", "column"), strict=True))
        with k.loop(k.begin, k.end) as image, k.loop(0, out_height) as row:
            first_row, row_count, row_weights = rows.run(k, row)
            line = k.offset(x, (image * height + first_row) * width * self.channels)
            result = k.offset(y, (image * out_height + row) * out_width * self.channels)
            with k.loop(0, out_width) as column:
                first_column, column_count, column_weights = columns.run(k, column)
                source = k.offset(line, first_column * self.channels)
                goal = k.offset(result, column * self.channels)
                pixel = _Pixel(source, width * self.channels, row_weights, column_weights, goal)
                with k.when(k.equal(row_count, 1) & k.equal(column_count, 1)) as nearest:
                    self._one(k, pixel, 1, 1, target.lanes)
                with k.otherwise(nearest), k.when(k.equal(row_count, 2) & k.equal(column_count, 2)) as bilinear:
                    self._one(k, pixel, 2, 2, target.lanes)
                with k.otherwise(nearest), k.otherwise(bilinear):
                    self._one(k, pixel, row_count, column_count, target.lanes)
        return k.kernel()

    def _one(self, k: Builder, pixel: _Pixel, rows: Operand, columns: Operand, lanes: int) -> None:
        """One pixel of the result, from `rows` × `columns` of the source."""

        def body(first: Operand, count: int) -> None:
            total = k.register(k.spread(0.0, lanes))
            for i in each(k, 0, rows):
                line = k.register(k.spread(0.0, lanes))
                for j in each(k, 0, columns):
                    value = k.load(pixel.source, i * pixel.row_stride + j * self.channels + first, lanes, count)
                    line.set(k.fma(value, k.load(pixel.column_weights, j), line.get()))
                total.set(k.fma(line.get(), k.load(pixel.row_weights, i), total.get()))
            k.store(pixel.goal, first, total.get(), count)

        over_lanes(k, self.channels, lanes, body)


def _buffers(k: Builder, name: str) -> tuple[Pointer, Pointer, Pointer]:
    return k.buffer(f"{name}_starts", I32), k.buffer(f"{name}_counts", I32), k.buffer(f"{name}_weights", F32)
