"""Resampling by tables: nearest, bilinear and area, enlarging and reducing, forward and adjoint, in one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.ir import I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, loop_or_unroll, vector_loop
from opsin.kernels.summation import COLUMN, ROW, Summation


def nonzero_runs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tables of one axis for the weights `matrix` (size × source), in which each row is zero outside one
    run.

    The tables are the runs' starts (i32, size), counts (i32, size; 0 for a row of zeros) and weights (float32,
    size × the longest run, at least 1, padded with zeros).
    """
    size, source = matrix.shape
    is_nonzero = matrix != 0
    starts = np.where(is_nonzero.any(1), is_nonzero.argmax(1), 0)
    counts = np.where(is_nonzero.any(1), source - is_nonzero[:, ::-1].argmax(1) - starts, 0)
    weights = np.zeros((size, max(1, counts.max(initial=0))), np.float32)
    for row, (start, count) in enumerate(zip(starts, counts, strict=True)):
        weights[row, :count] = matrix[row, start : start + count]
    return starts.astype(np.int32), counts.astype(np.int32), weights


@dataclass(frozen=True)
class _Axis:
    """The arguments of the kernel for one axis."""

    starts: Pointer
    counts: Pointer
    weights: Pointer
    taps: Value

    @staticmethod
    def of(tables: list[Pointer], taps: Value) -> _Axis:
        """Return the axis with the tables (starts, counts, weights)."""
        starts, counts, weights = tables
        return _Axis(starts, counts, weights, taps)

    def run(self, k: Builder, position: Value) -> tuple[Value, Value, Pointer]:
        """Return the start, the count and the weights of the run of the result at `position`."""
        start, count = (k.convert("index", k.load(table, position)) for table in (self.starts, self.counts))
        return start, count, k.offset(self.weights, position * self.taps)


@dataclass(frozen=True)
class _Pixel:
    """One pixel of the result: the first pixel of its runs, the weights of rows and columns, and the result's
    memory."""

    source: Pointer
    row_stride: Value
    row_weights: Pointer
    column_weights: Pointer
    result: Pointer


@dataclass(frozen=True)
class Resample(KernelSpec):
    """y = A x Bᵀ for every image and channel: A for the rows, B for the columns, as tables from `nonzero_runs`.

    y[r, c] = Σᵢ A[r][i] · Σⱼ B[c][j] · x[start_A[r] + i, start_B[c] + j].

    `x` is N × H × W × channels, `y` is N × OH × OW × channels; `row_taps` and `column_taps` are the second dimension of
    the weights. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "row_starts", "row_counts", "row_weights", "column_starts", "column_counts", "column_weights"),
        ("H", "W", "OH", "OW", "row_taps", "column_taps"),
        elements=dict.fromkeys(("row_starts", "row_counts", "column_starts", "column_counts"), I32),
    )

    channels: int

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((ROW, COLUMN), segment=words[-1], weighted=True)

    def build(self, target: Target) -> Kernel:
        k = Builder("resample")
        (x, y, *tables), (height, width, out_height, out_width, row_taps, column_taps) = self.bind(k)
        rows, columns = _Axis.of(tables[:3], row_taps), _Axis.of(tables[3:], column_taps)
        with k.loop(k.begin, k.end) as image, k.loop(0, out_height) as row:
            first_row, row_count, row_weights = rows.run(k, row)
            line = k.offset(x, (image * height + first_row) * width * self.channels)
            result = k.offset(y, (image * out_height + row) * out_width * self.channels)
            with k.loop(0, out_width) as column:
                first_column, column_count, column_weights = columns.run(k, column)
                source = k.offset(line, first_column * self.channels)
                target_pixel = k.offset(result, column * self.channels)
                pixel = _Pixel(source, width * self.channels, row_weights, column_weights, target_pixel)
                with k.when(k.equal(row_count, 1) & k.equal(column_count, 1)) as nearest_branch:
                    self._pixel(k, pixel, 1, 1, target.lanes)
                with (
                    k.otherwise(nearest_branch),
                    k.when(k.equal(row_count, 2) & k.equal(column_count, 2)) as bilinear_branch,
                ):
                    self._pixel(k, pixel, 2, 2, target.lanes)
                with k.otherwise(nearest_branch), k.otherwise(bilinear_branch):
                    self._pixel(k, pixel, row_count, column_count, target.lanes)
        return k.kernel()

    def _pixel(self, k: Builder, pixel: _Pixel, rows: Operand, columns: Operand, lanes: int) -> None:
        """Emit one pixel of the result, from `rows` × `columns` pixels of the source."""
        for first, count in vector_loop(k, self.channels, lanes):
            total = k.register(k.broadcast(0.0, lanes))
            for i in loop_or_unroll(k, 0, rows):
                line = k.register(k.broadcast(0.0, lanes))
                for j in loop_or_unroll(k, 0, columns):
                    value = k.load(pixel.source, i * pixel.row_stride + j * self.channels + first, lanes, count)
                    line.set(k.fma(value, k.load(pixel.column_weights, j), line.get()))
                total.set(k.fma(line.get(), k.load(pixel.row_weights, i), total.get()))
            k.store(pixel.result, first, total.get(), count)
