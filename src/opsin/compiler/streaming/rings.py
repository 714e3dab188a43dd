"""Rings: the newest rows of a tensor, in the order of the image, the newest last.

A row that arrives moves the others up by one, so windows are always at the same place. This takes fewer instructions
than it seems: a row is moved once for each row of the window, and multiplied by many weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering
from opsin.compiler.streaming.stages import Rhythm, Stage, Window
from opsin.compiler.views import Buffer, View, dense_strides
from opsin.kernels.expression import IDENTITY
from opsin.kernels.ir import ELEMENT_BYTES, I32


@dataclass(eq=False)
class Ring:
    """The last `rows` rows of the tensor `source`, each of `row` elements, in `buffer`.

    `fill` is the value of rows outside the image, if any is read; `extra_rows` come after the last one, as long as
    windows move on. `words` is the same memory as `buffer` in elements that are moved fastest.
    """

    source: Buffer
    rhythm: Rhythm
    readers: Sequence[tuple[Stage, Window]]
    is_whole: bool
    row: int = field(init=False)
    rows: int = field(init=False)
    buffer: Buffer = field(init=False)
    words: Buffer = field(init=False)

    def __post_init__(self) -> None:
        self.row = self.source.size // self.rhythm.count
        self.rows = max([self.rhythm.count if self.is_whole else 1, *(self._kept(*reader) for reader in self.readers)])
        size, element = self.rows * self.row, self.source.element
        self.buffer = self.source if self.is_whole else Buffer(size, element, "temporary")
        width = ELEMENT_BYTES[I32] // ELEMENT_BYTES[element]
        is_wide = self.row % width == 0
        self.words = Buffer(size // width, I32, "temporary") if is_wide else Buffer(size, element, "temporary")

    def _kept(self, stage: Stage, window: Window) -> int:
        """Return how many rows there are from the first one under a window to the newest."""
        return (stage.rhythm.first - self.rhythm.first) // self.rhythm.period + window.top + 1

    @property
    def is_passing(self) -> bool:
        """Whether a row is read in the tick in which it is written, and never again."""
        now = (self.rhythm.first, self.rhythm.period)
        return self.rows == 1 and all((stage.rhythm.first, stage.rhythm.period) == now for stage, _ in self.readers)

    @property
    def extra_rows(self) -> int:
        last = max((stage.rhythm.last for stage, _ in self.readers), default=self.rhythm.last)
        return max(0, (last - self.rhythm.first) // self.rhythm.period - self.rhythm.count + 1)

    @property
    def fill(self) -> float | int | None:
        outside = (window.fill for stage, window in self.readers if window.reaches_outside(self.rhythm, stage.rhythm))
        return next(outside, None)

    def window(self, view: View, stage: Stage, window: Window) -> View:
        """Return the rows under a window; `view` is the whole tensor."""
        return self._rows(view, self.rows - self._kept(stage, window), window.span)

    def newest(self, view: View) -> View:
        """Return the newest row; `view` is the whole tensor."""
        return self._rows(view, self.rows - 1, 1)

    def _rows(self, view: View, first: int, count: int) -> View:
        shape = (1, view.shape[1], count, view.shape[3])
        return View(self.buffer, shape, dense_strides(shape, (0, 2, 3, 1)), first * self.row)

    def moved(self, lowering: Lowering) -> Iterator[KernelCall]:
        """Yield the call that moves all rows but the oldest up by one."""
        row = self.words.size // self.rows
        if self.rows > 1:
            up, down = (View(self.words, (self.words.size - row,), (1,), offset) for offset in (0, row))
            yield lowering.pointwise(IDENTITY, [down], [up])

    def filled(self, lowering: Lowering, first: int, stop: int) -> Iterator[KernelCall]:
        """Yield the call that fills the places from `first` up to `stop` with what is outside the image."""
        if self.fill is not None and stop > first:
            yield lowering.fill(View(self.buffer, ((stop - first) * self.row,), (1,), first * self.row), self.fill)
