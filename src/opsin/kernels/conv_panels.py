"""Direct convolution with packed weights: for narrow layers, any kernel, stride and dilation.

The images are read in place, or from padded rows, as `Conv2d` does. The weights are packed in panels that every
register tile reads sequentially, and whose shape wastes few lanes for any number of filters (`PanelShape`). Compared
with `ConvPacked`, nothing is copied for each output pixel.

With 16 lanes, the second layer of PilotNet (5×5, stride 2, 24 to 36 channels) reaches 1.6 times the speed of
`ConvPacked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

from opsin.kernels.conv import MARGIN_WORDS, ConvInput, ConvWindow, Margin, one_row, rows_read, taps_inside
from opsin.kernels.ir import SUMS, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import PanelShape
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.kernels.tile import PLAIN, BoundEpilogue, ColumnRange, Epilogue, Tile, row_loop, row_ranges


@dataclass(frozen=True)
class ConvPanels(KernelSpec):
    """`y = epilogue(x ∗ w)` for one group: `filters` outputs, `out_width` pixels in a row.

    `x` is N × H × W × C; `u` is the weights kh kw C × K from `PackPanels`, in panels of `shape`; `top` is the
    padding above the image. The words of `Margin` are unused unless the rows are `padded`. The epilogue's arrays are
    N × OH × OW × K; if `strided_output`, `out_strides` are the distances in them between images, rows and columns.

    A block is `rows` rows of an image with `blocks` blocks of rows, for one of `shares` shares of the panels; the share
    varies fastest. Of whole numbers, padding has the value of the word `zero`, and what is read beyond a run of `x` is
    multiplied by zeros. `prefetches`: the numbers that follow those of a register tile, which are those of the next
    tile of a 1×1 convolution in place, are prefetched. Scratch if `padded`: the rows that a block reads × padded width
    × channels.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u"),
        ("H", "W", "OH", "kh", "sh", "dh", "top", *MARGIN_WORDS, "rows", "blocks", "*out_strides", "*zero"),
        epilogue=True,
    )

    window: ConvWindow
    filters: int
    out_width: int
    shape: PanelShape
    padded: bool
    strided_output: bool = False
    shares: int = 1
    epilogue: Epilogue = PLAIN
    prefetches: bool = False

    def summation(self, words: Sequence[int], target: Target) -> Summation | None:
        if self.shape.pack != 1:
            return None
        return Summation((ROW, COLUMN, CHANNEL), lanes=self.shape.folds)

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        _, width, out_height, _, stride, _, top = words[:7]
        if self.strided_output:
            return {}
        rows = self.window.pixel * width, self.filters * self.out_width
        # A block with several shares of the panels reads its rows again for each.
        return {0: RowOrder(out_height, stride, top, *rows, words[11], self.padded and self.shares == 1)}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        if self.strided_output:
            return None
        spec = replace(self, shares=1)
        if self.shape.is_whole:
            return one_row(spec, words, words[13], None)
        return one_row(spec, words, 0.0, self.window.pixel)

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_panels")
        (x, u), words = self.bind(k, out_strides=3 * self.strided_output, zero=int(self.shape.is_whole))
        height, width, out_height, kernel, stride, dilation, top, *margin, rows, blocks = words[:13]
        zero = [k.convert("i32", word) for word in words[13 + 3 * self.strided_output :]]
        image_step, row_step, pixel_step = words[13 : 13 + 3 * self.strided_output] or (
            out_height * self.out_width * self.filters,
            k.constant(self.out_width * self.filters, out_height.kind),
            k.constant(self.filters, out_height.kind),
        )
        rows_of_output = _OutputRow(self, k, target, kernel, pixel_step, self.epilogue.bind(k, self.element))
        images = ConvInput(k, self.window, x, height, width, self.shape.factor)
        with k.loop(k.begin, k.end) as block:
            number, row_block = block // self.shares // blocks, block // self.shares % blocks
            first = row_block * rows
            last = k.minimum(out_height, first + rows)
            if self.padded:
                low, high = rows_read(k, (first, last), stride, top, (kernel, dilation), None if zero else height)
                source, row_size = images.padded(number, (low, high), Margin(*margin), target.lanes, *zero)
            else:
                source, row_size = images.in_place(number)
            for panel, columns in self._panels(k, target, block % self.shares):
                with k.loop(first, last) as y:
                    start = y * stride - top
                    taps = k.constant(0, kernel.kind), kernel
                    if not zero:
                        taps = taps_inside(k, start, dilation, height, kernel)
                    left = k.offset(source, start * row_size)
                    output = number * image_step + y * row_step
                    rows_of_output.emit((panel, columns), u, left, dilation * row_size, taps, output)
        return k.kernel()

    def _panels(self, k: Builder, target: Target, share: Value) -> Iterator[tuple[Operand, int]]:
        """Yield (number, columns) for every panel of a share: in a loop over whole ones, and for an incomplete one."""
        full_panels, tail_columns = divmod(self.filters, self.shape.columns(target))
        per_share = -(-self.shape.count(self.filters, target) // self.shares)
        first = share * per_share
        if full_panels:
            with k.loop(first, k.minimum(first + per_share, full_panels)) as number:
                yield number, self.shape.columns(target)
        if tail_columns:
            with k.when((first <= full_panels) & (first + per_share > full_panels)):
                yield full_panels, tail_columns


@dataclass(frozen=True)
class _OutputRow:
    """Emits one output row of `ConvPanels` for one panel; adjacent output pixels are `pixel_step` elements apart."""

    spec: ConvPanels
    k: Builder
    target: Target
    kernel: Value
    pixel_step: Operand
    epilogue: BoundEpilogue

    def emit(
        self,
        panel: tuple[Operand, int],
        u: Pointer,
        left: Pointer,
        tap_step: Operand,
        taps: tuple[Value, Value],
        output: Value,
    ) -> None:
        """`panel` is (number, columns), `left` where the row under tap 0 is, the row under the next tap is `tap_step`
        elements later, and `taps` the range of taps inside the image; `output` is the element of the first pixel."""
        spec, k, window = self.spec, self.k, self.spec.window
        number, columns = panel
        width = spec.shape.columns(self.target)
        kernel_row = window.runs * spec.shape.depth(window.run) * width
        right = k.offset(u, number * self.kernel * kernel_row)
        for pixel, pixels in row_loop(k, row_ranges(spec.out_width, spec.shape.rows(self.target))):
            tile_columns = ColumnRange(0, 1, spec.shape.vectors, self.target.lanes)
            sums = Tile(k, self.target, pixels, tile_columns, element=SUMS[spec.shape.lane])
            start = k.offset(left, pixel * (window.stride * window.pixel))
            first = output + pixel * self.pixel_step + number * width
            if self.epilogue.reads_arrays:
                for row, line in product(range(pixels), range(0, columns, CACHE_LINE)):
                    self.epilogue.prefetch(first + row * self.pixel_step + line)
            with k.loop(*taps) as r:
                self._add_row(sums, k.offset(start, r * tap_step), k.offset(right, r * kernel_row))
            self._store(sums, columns, first, number * width)

    def _add_row(self, sums: Tile, left: Pointer, right: Pointer) -> None:
        """Add the products of one row of the kernel: `window.runs` runs of `window.run` elements."""
        k, window, shape = self.k, self.spec.window, self.spec.shape
        step, width, pack = window.stride * window.pixel, shape.columns(self.target), shape.pack
        depth = shape.depth(window.run)
        with k.loop(0, window.runs) as run:
            source = k.offset(left, run * (window.dilation * window.pixel))
            weights = k.offset(right, run * (depth * width))
            with k.loop(0, depth // pack, shape.folds) as i:
                if self.spec.prefetches:
                    for line in range(0, sums.rows * shape.interleave, CACHE_LINE):
                        k.prefetch(source, (window.run + i * pack) * sums.rows + line)

                def numbers(row: int, i: Value = i, source: Pointer = source) -> Value:
                    return k.load(k.offset(source, i * pack + row * step).of(shape.lane), 0, shape.folds)

                sums.accumulate(numbers, weights if shape.pairs else weights.of(shape.lane), i * width)

    def _store(self, sums: Tile, columns: int, first: Value, column: Operand) -> None:
        """Store `columns` columns from `column` on; `first` is the element of the first result."""
        lanes = self.target.lanes
        if self.spec.shape.is_whole:
            self._store_whole(sums, columns, first, column)
            return
        for row in range(sums.rows):
            at = first + row * self.pixel_step
            for j, value in enumerate(sums.folded(row, self.spec.shape.folds)):
                count = min(lanes, columns - j * lanes)
                if count > 0:
                    self.epilogue.store(value, at + j * lanes, column + j * lanes, count)

    def _store_whole(self, sums: Tile, columns: int, first: Value, column: Operand) -> None:
        """Store as `_store` does, vector by vector of the columns: what scales a vector is loaded once for all rows."""
        lanes = self.target.lanes
        rows = [sums.folded(row, self.spec.shape.folds) for row in range(sums.rows)]
        for j, count in enumerate(min(lanes, columns - start) for start in range(0, columns, lanes)):
            loaded = self.epilogue.load_channels(lanes, column + j * lanes, count)
            for row, values in enumerate(rows):
                at = first + row * self.pixel_step + j * lanes
                self.epilogue.store(values[j], at, column + j * lanes, count, loaded)
