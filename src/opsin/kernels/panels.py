"""Matrices packed into panels as wide as the register tile; a matrix product reads them sequentially."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from opsin.kernels.ir import ELEMENT_BYTES, F32, I8, I16, PACKED, WIDE, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, transpose_in_registers
from opsin.kernels.tile import ColumnRange, row_ranges

RESULT_COST = 10
"""The vector operations that scale a vector of sums and store it."""
LANE_BYTES = ELEMENT_BYTES[F32]


def panel_count(columns: int, target: Target) -> int:
    """Return the number of panels of two vectors for `columns` columns."""
    return -(-columns // (2 * target.lanes))


@dataclass(frozen=True)
class PanelShape:
    """Panels of `vectors` vectors, in which `interleave` successive numbers of every column are adjacent.

    A vector then holds fewer columns, but `interleave` terms of each of their sums. Numbers of columns that do not fill
    vectors waste fewer lanes this way: with 16 lanes, 24 columns need two vectors for every term, or three for every
    two terms. The left operand is read `interleave` numbers at a time, and lanes of the same column are added at the
    end.

    Each lane holds `pack` of the interleaved numbers, whose products are added at once: 1 float32, 2 bfloat16 or int16,
    or 4 int8. `pairs`: int8 are widened to int16 when they are loaded, and 2 of them are in a lane.
    """

    vectors: int
    interleave: int
    element: str = F32
    """The element kind of a packed matrix."""
    pairs: bool = False

    @property
    def factor(self) -> str:
        """The element kind in which numbers are multiplied."""
        return I16 if self.pairs else self.element

    @property
    def pack(self) -> int:
        """The numbers of a lane."""
        return LANE_BYTES // ELEMENT_BYTES[self.factor]

    @property
    def folds(self) -> int:
        """The adjacent lanes that belong to one column."""
        return self.interleave // self.pack

    @property
    def lane(self) -> str:
        """The element kind of a lane of its vectors."""
        return PACKED.get(self.factor, self.factor)

    @property
    def is_whole(self) -> bool:
        """Whether the numbers are whole: sums then run over a depth that is rounded up, with zeros in the panels."""
        return self.element in (I16, I8)

    def depth(self, depth: int) -> int:
        """Return the numbers of a column that are multiplied for a sum over `depth`."""
        return -(-depth // self.interleave) * self.interleave if self.is_whole else depth

    def columns(self, target: Target) -> int:
        """Return the columns of a panel."""
        return self.vectors * target.lanes // self.folds

    def count(self, columns: int, target: Target) -> int:
        """Return the number of panels for `columns` columns."""
        return -(-columns // self.columns(target))

    def rows(self, target: Target) -> int:
        """Return the rows of a register tile."""
        # Of whole numbers, a product takes a register before it is added, or the sign of each byte is flipped in one.
        # Portable programs leave registers free for it anyway.
        has_product = self.is_whole and (not self.pairs or target.shares_kernels)
        return max(1, (target.registers - self.vectors - 1 - has_product) // self.vectors)

    def cost(self, columns: int, target: Target) -> float:
        """Return the vector operations per term and row, with a tenth of the loads and of the additions at the end."""
        multiplications = self.count(columns, target) * self.vectors / self.folds
        loads = multiplications * (1 / self.vectors + 1 / self.rows(target))
        return multiplications * (1 + 0.01 * (self.folds - 1)) + 0.1 * loads


def panel_shape(columns: int, depth: int, target: Target, element: str = F32) -> PanelShape:
    """Return the shape of panels that wastes the fewest lanes for `columns` columns; `interleave` divides `depth`."""
    pack = PanelShape(1, 1, element).pack
    interleaves = [n for n in (pack, 2 * pack, 4 * pack) if depth % n == 0 and n // pack <= target.lanes]
    shapes = [PanelShape(vectors, n, element) for n in interleaves or [pack] for vectors in range(1, 6)]
    return min(shapes, key=lambda shape: (shape.cost(columns, target), shape.interleave, shape.vectors))


def whole_panel_shape(columns: int, run: int, runs: int, pixels: int, target: Target) -> PanelShape:
    """Return the fastest shape for int8: sums over `runs` times `run` numbers, for rows of `pixels`."""
    kind = PanelShape(1, 1, I8 if target.byte_dot or target.keeps_bytes else I16, pairs=target.keeps_bytes)

    def cost(shape: PanelShape) -> float:
        steps = runs * shape.depth(run) // shape.interleave
        tiles = row_ranges(pixels, shape.rows(target))
        products = sum(n * (rows * shape.vectors + 0.4 * (rows + shape.vectors) + 1) for n, rows in tiles)
        end = pixels * shape.vectors * (RESULT_COST / shape.folds + 2 * (shape.folds - 1))
        return shape.count(columns, target) * (steps * products + end)

    interleaves = [n * kind.pack for n in (1, 2, 4)]
    shapes = [replace(kind, vectors=vectors, interleave=n) for n in interleaves for vectors in range(1, 7)]
    return min(shapes, key=lambda shape: (cost(shape), shape.interleave, shape.vectors))


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


@dataclass(frozen=True)
class PackPanels(KernelSpec):
    """u[p, (r, s, i / n), j, i % n] = w[r, s, i, p · width + j], and 0 beyond the last column.

    `n` and the `width` of a panel are those of `shape`; `n` divides `depth`, the number of elements i. Of `w`, either
    the columns are contiguous and `step` is the stride of elements i, or, if `transposed`, elements i are contiguous
    and `step` is the stride of columns. A block is one panel. Of whole numbers, columns are contiguous, and zeros
    complete the last elements i if `n` does not divide `depth`.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"), ("kh", "kw", "depth", "kh_stride", "kw_stride", "step"))

    columns: int
    shape: PanelShape
    transposed: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_panels")
        (w, u), (height, width, depth, kh_stride, kw_stride, step) = self.bind(k)
        panel = self.shape.columns(target)
        full_panels, tail_columns = divmod(self.columns, panel)
        ranges = (
            (panel, k.begin, k.minimum(k.end, full_panels)),
            (tail_columns, k.maximum(k.begin, full_panels), k.end),
        )
        for columns, first, last in (item for item in ranges if item[0]):
            with k.loop(first, last) as number, k.loop(0, height) as r, k.loop(0, width) as s:
                column = number * panel * step if self.transposed else number * panel
                source = k.offset(w, column + r * kh_stride + s * kw_stride)
                result = k.offset(u, ((number * height + r) * width + s) * self._padded(depth) * panel)
                if self.transposed:
                    self._pack_columns(k, source, result, depth, step, columns, target)
                else:
                    n = self.shape.interleave
                    main_end = depth // n * n if self.shape.is_whole else depth
                    with k.loop(0, main_end, n) as i:
                        rows = [k.offset(source, (i + at) * step) for at in range(n)]
                        self._pack_rows(k, rows, k.offset(result, i * panel), columns, target)
                    for rest in range(1, n if self.shape.is_whole else 0):
                        with k.when(k.equal(depth - main_end, rest)):
                            rows = [k.offset(source, (main_end + at) * step) for at in range(rest)]
                            self._pack_rows(k, rows, k.offset(result, main_end * panel), columns, target)
        return k.kernel()

    def _padded(self, depth: Value) -> Value:
        """Return the elements i in memory."""
        n = self.shape.interleave
        return (depth + (n - 1)) // n * n if self.shape.is_whole else depth

    def _pack_rows(self, k: Builder, rows: list[Pointer], result: Pointer, columns: int, target: Target) -> None:
        """Pack `columns` contiguous columns of `rows`, which are adjacent in a panel; missing rows are zeros."""
        zero = k.broadcast(0, target.lanes, WIDE.get(self.element("w"), self.element("w")))
        for first in range(0, self.shape.columns(target), target.lanes):
            count = max(0, min(target.lanes, columns - first))
            vectors = [k.load(row, first, target.lanes, count) if count else zero for row in rows]
            vectors += [zero] * (self.shape.interleave - len(rows))
            self._store(k, result, vectors, first, target)

    def _pack_columns(
        self, k: Builder, source: Pointer, result: Pointer, depth: Value, step: Value, columns: int, target: Target
    ) -> None:
        """Pack `depth` contiguous elements of `columns` columns: squares are transposed in registers."""
        lanes, panel, n = target.lanes, self.shape.columns(target), self.shape.interleave
        main_end = depth // lanes * lanes
        with k.loop(0, main_end, lanes) as i:
            for first in range(0, panel, lanes):
                count = max(0, min(lanes, columns - first))
                rows = [k.load(source, (first + j) * step + i, lanes) for j in range(count)]
                elements = transpose_in_registers(k, rows + [k.broadcast(0.0, lanes)] * (lanes - count))
                for at in range(0, lanes, n):
                    self._store(k, k.offset(result, (i + at) * panel), elements[at : at + n], first, target)
        with k.loop(main_end, depth, n) as i:
            for j in range(panel):
                for at in range(n):
                    value = k.load(source, i + at + j * step) if j < columns else k.broadcast(0.0, 1)
                    k.store(result, i * panel + j * n + at, value)

    def _store(self, k: Builder, result: Pointer, rows: list[Value], first: int, target: Target) -> None:
        """Interleave vectors of the columns from `first` on, and store what belongs to the panel."""
        lanes, size = target.lanes, self.shape.vectors * target.lanes * self.shape.pack
        for number, vector in enumerate(_woven(k, rows)):
            at = first * self.shape.interleave + number * lanes
            if at < size:
                k.store(result, at, vector, min(lanes, size - at))


def _woven(k: Builder, rows: list[Value]) -> list[Value]:
    """Return as many vectors: the first elements of all `rows`, then the second ones, and so on."""
    if len(rows) == 1:
        return rows
    lanes = rows[0].kind.lanes
    pairs = zip(_woven(k, rows[::2]), _woven(k, rows[1::2]), strict=True)
    picks = [[half + i // 2 + lanes * (i % 2) for i in range(lanes)] for half in (0, lanes // 2)]
    return [k.shuffle(a, b, half) for a, b in pairs for half in picks]
