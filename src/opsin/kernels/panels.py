"""Matrices cut into panels as wide as the register tile, so that a product reads them in one stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, transpose_in_registers
from opsin.kernels.tile import ColumnRange


def panels(columns: int, target: Target) -> int:
    """Panels of two vectors that hold `columns` columns."""
    return -(-columns // (2 * target.lanes))


def padded(columns: int, width: int) -> int:
    """`columns`, rounded up to whole panels of `width`."""
    return -(-columns // width) * width


def over_panels(
    k: Builder,
    columns: int,
    lanes: int,
    body: Callable[[Operand, ColumnRange], None],
    between: tuple[Value, Value] | None = None,
) -> None:
    """Runs `body(number, columns of the panel)` for every panel of two vectors, or for those `between` two numbers."""
    whole, rest = divmod(columns, 2 * lanes)
    if between is not None:
        if whole:
            with k.loop(between[0], k.minimum(between[1], whole)) as number:
                body(number, ColumnRange(0, 1, 2, lanes))
        if rest:
            vectors = -(-rest // lanes)
            with k.when((between[0] <= whole) & (between[1] > whole)):
                body(whole, ColumnRange(0, 1, vectors, rest - (vectors - 1) * lanes))
        return
    if whole == 1:
        body(0, ColumnRange(0, 1, 2, lanes))
    elif whole:
        with k.loop(0, whole) as number:
            body(number, ColumnRange(0, 1, 2, lanes))
    if rest:
        vectors = -(-rest // lanes)
        body(whole, ColumnRange(0, 1, vectors, rest - (vectors - 1) * lanes))


@dataclass(frozen=True)
class PackPanels(KernelSpec):
    """u[p, i, j] = w[i, p · width + j], zeros beyond the last column.

    Arguments: w (depth × columns, row-major), u (panels × depth × two vectors), depth. A block is one panel.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"), ("depth",))

    columns: int

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_panels")
        w, u, depth = k.buffer("w"), k.buffer("u"), k.index("depth")
        lanes = target.lanes
        pair, whole = 2 * lanes, self.columns // (2 * lanes)

        def pack(counts: tuple[int, int], start: Value, stop: Value) -> None:
            with k.loop(start, stop) as number, k.loop(0, depth) as i:
                for j, count in enumerate(counts):
                    at = i * self.columns + number * pair + j * lanes
                    value = k.load(w, at, lanes, count) if count else k.spread(0.0, lanes)
                    k.store(u, (number * depth + i) * pair + j * lanes, value)

        pack((lanes, lanes), k.begin, k.minimum(k.end, whole))
        left = self.columns - whole * pair
        if left:
            pack((min(left, lanes), max(0, left - lanes)), k.maximum(k.begin, whole), k.end)
        return k.kernel()


@dataclass(frozen=True)
class PackTransposed(KernelSpec):
    """As `PackPanels`, where memory has column after column: u[p, (r, s, i), j] = w[p · width + j, r, s, i].

    Arguments: w; u (panels × kh kw depth × two vectors); kh, kw, depth; the distances in w between columns, rows and
    columns of the kernel, elements i being contiguous. A block is one panel.
    """

    signature: ClassVar[Signature] = Signature(
        ("w", "u"), ("kh", "kw", "depth", "column_stride", "kh_stride", "kw_stride")
    )

    columns: int

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_turned")
        w, u = k.buffer("w"), k.buffer("u")
        height, width, depth = (k.index(name) for name in ("kh", "kw", "depth"))
        step, down, across = (k.index(name) for name in ("step", "down", "across"))
        lanes = target.lanes
        pair, whole = 2 * lanes, self.columns // (2 * lanes)

        def pack(counts: tuple[int, int], start: Value, stop: Value) -> None:
            with k.loop(start, stop) as number, k.loop(0, height) as r, k.loop(0, width) as s:
                source = k.offset(w, number * pair * step + r * down + s * across)
                into = k.offset(u, ((number * height + r) * width + s) * depth * pair)
                full = depth // lanes * lanes
                with k.loop(0, full, lanes) as i:
                    for j, count in enumerate(counts):
                        rows = [k.load(source, (j * lanes + n) * step + i, lanes) for n in range(count)]
                        rows += [k.spread(0.0, lanes)] * (lanes - count)
                        for n, value in enumerate(transpose_in_registers(k, rows)):
                            k.store(into, (i + n) * pair + j * lanes, value)
                with k.loop(full, depth) as i:
                    for n in range(pair):
                        there = n % lanes < counts[n // lanes]
                        value = k.load(source, n * step + i) if there else k.spread(0.0, 1)
                        k.store(into, i * pair + n, value)

        pack((lanes, lanes), k.begin, k.minimum(k.end, whole))
        left = self.columns - whole * pair
        if left:
            pack((min(left, lanes), max(0, left - lanes)), k.maximum(k.begin, whole), k.end)
        return k.kernel()
