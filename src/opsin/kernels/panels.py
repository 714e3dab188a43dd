"""Matrices packed into panels as wide as the register tile; a matrix product reads them sequentially."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, transpose_in_registers
from opsin.kernels.tile import ColumnRange


def panel_count(columns: int, target: Target) -> int:
    """Return the number of panels of two vectors for `columns` columns."""
    return -(-columns // (2 * target.lanes))


def round_up(columns: int, width: int) -> int:
    """Return `columns`, rounded up to whole panels of `width` columns."""
    return -(-columns // width) * width


def panel_loop(
    k: Builder, columns: int, lanes: int, limits: tuple[Value, Value] | None = None
) -> Iterator[tuple[Operand, ColumnRange]]:
    """Yield (number, columns) for every panel of two vectors, or for those from `limits[0]` up to `limits[1]`."""
    full_panels, tail_columns = divmod(columns, 2 * lanes)
    vectors = -(-tail_columns // lanes)
    tail = ColumnRange(0, 1, vectors, tail_columns - (vectors - 1) * lanes)
    if limits is not None:
        if full_panels:
            with k.loop(limits[0], k.minimum(limits[1], full_panels)) as number:
                yield number, ColumnRange(0, 1, 2, lanes)
        if tail_columns:
            with k.when((limits[0] <= full_panels) & (limits[1] > full_panels)):
                yield full_panels, tail
        return
    if full_panels == 1:
        yield 0, ColumnRange(0, 1, 2, lanes)
    elif full_panels:
        with k.loop(0, full_panels) as number:
            yield number, ColumnRange(0, 1, 2, lanes)
    if tail_columns:
        yield full_panels, tail


def _block_panels(k: Builder, columns: int, lanes: int) -> Iterator[tuple[tuple[int, int], Value]]:
    """Yield (columns in each of the two vectors, number) for the panels from `k.begin` up to `k.end`."""
    full_panels, tail_columns = divmod(columns, 2 * lanes)
    with k.loop(k.begin, k.minimum(k.end, full_panels)) as number:
        yield (lanes, lanes), number
    if tail_columns:
        with k.loop(k.maximum(k.begin, full_panels), k.end) as number:
            yield (min(tail_columns, lanes), max(0, tail_columns - lanes)), number


@dataclass(frozen=True)
class PackPanels(KernelSpec):
    """u[p, i, j] = w[i, p · width + j], and 0 beyond the last column.

    `w` is depth × columns, row-major; `u` is panels × depth × two vectors. A block is one panel.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"), ("depth",))

    columns: int

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_panels")
        (w, u), (depth,) = self.signature.bind(k)
        lanes = target.lanes
        width = 2 * lanes
        for counts, number in _block_panels(k, self.columns, lanes):
            with k.loop(0, depth) as i:
                for j, count in enumerate(counts):
                    at = i * self.columns + number * width + j * lanes
                    value = k.load(w, at, lanes, count) if count else k.broadcast(0.0, lanes)
                    k.store(u, (number * depth + i) * width + j * lanes, value)
        return k.kernel()


@dataclass(frozen=True)
class PackTransposed(KernelSpec):
    """u[p, (r, s, i), j] = w[p · width + j, r, s, i]: like `PackPanels`, for a matrix whose columns are contiguous.

    `w` has the strides `column_stride` between columns, and `kh_stride` and `kw_stride` between the rows and columns
    of the convolution's kernel; elements i are contiguous. `u` is panels × kh · kw · depth × two vectors. A block is
    one panel.
    """

    signature: ClassVar[Signature] = Signature(
        ("w", "u"), ("kh", "kw", "depth", "column_stride", "kh_stride", "kw_stride")
    )

    columns: int

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_transposed")
        (w, u), (height, width, depth, column_stride, kh_stride, kw_stride) = self.signature.bind(k)
        lanes = target.lanes
        panel = 2 * lanes
        for counts, number in _block_panels(k, self.columns, lanes):
            with k.loop(0, height) as r, k.loop(0, width) as s:
                source = k.offset(w, number * panel * column_stride + r * kh_stride + s * kw_stride)
                destination = k.offset(u, ((number * height + r) * width + s) * depth * panel)
                main_end = depth // lanes * lanes
                with k.loop(0, main_end, lanes) as i:
                    for j, count in enumerate(counts):
                        rows = [k.load(source, (j * lanes + n) * column_stride + i, lanes) for n in range(count)]
                        rows += [k.broadcast(0.0, lanes)] * (lanes - count)
                        for n, value in enumerate(transpose_in_registers(k, rows)):
                            k.store(destination, (i + n) * panel + j * lanes, value)
                with k.loop(main_end, depth) as i:
                    for n in range(panel):
                        is_column = n % lanes < counts[n // lanes]
                        value = k.load(source, n * column_stride + i) if is_column else k.broadcast(0.0, 1)
                        k.store(destination, i * panel + n, value)
        return k.kernel()
