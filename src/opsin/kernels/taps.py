"""The taps of a window that moves along one axis: which positions each result reads.

`Axis.reads` is the definition. `Axis.runs` groups the results for loops that are unrolled over taps, and
`Axis.taps_inside` computes the taps of a result whose position is known only at run time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

from opsin.kernels.ir import Builder, Operand, Value
from opsin.kernels.tile import row_ranges


@dataclass(frozen=True)
class Axis:
    """A window of `taps` positions, `dilation` apart, that moves by `stride`, after `before` positions of padding.

    A result reads the positions under its window. `transposed` swaps the roles: a result then reads from all windows
    that cover it, as a gradient with respect to the input does.
    """

    taps: int
    stride: int
    dilation: int
    before: int
    transposed: bool = False

    def base(self, result: int) -> int:
        """Return a position near those that `result` reads; it advances evenly with `result`."""
        return result // self.stride if self.transposed else result * self.stride

    def reads(self, result: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield (tap, position) for each tap of `result` with a position inside the axis of `size`."""
        for tap in range(self.taps):
            position, rest = result * self.stride - self.before + tap * self.dilation, 0
            if self.transposed:
                position, rest = divmod(result + self.before - tap * self.dilation, self.stride)
            if rest == 0 and 0 <= position < size:
                yield tap, position

    def runs(self, size: int, results: int, tile: int) -> list[TapRun]:
        """Split `results` results into tiles of about `tile` results, and group adjacent tiles that read alike."""
        if self.transposed and self.stride > 1:
            step = max(1, tile // self.stride) * self.stride
            counts = [min(step, results - first) for first in range(0, results, step)]
        else:
            counts = [count for tiles, count in row_ranges(results, tile) for _ in range(tiles)]
        runs: list[TapRun] = []
        first = 0
        for count in counts:
            base, step = self.base(first), self.base(first + count) - self.base(first)
            reads = tuple((i, tap, at - base) for i in range(count) for tap, at in self.reads(first + i, size))
            if runs and (runs[-1].size, runs[-1].step, runs[-1].reads) == (count, step, reads):
                runs[-1] = TapRun(runs[-1].first, runs[-1].tiles + 1, count, runs[-1].base, step, reads)
            else:
                runs.append(TapRun(first, 1, count, base, step, reads))
            first += count
        return runs

    def taps_inside(self, k: Builder, result: Value, size: Value) -> TapLoop:
        """Return a loop over the taps of `result`, as `reads` defines them, for a result that is known at run time."""
        if not self.transposed:
            start, step = result * self.stride - self.before, self.dilation
            first = k.maximum(0, (0 - start + (step - 1)) // step)
            return TapLoop(first, k.minimum(self.taps, (size - start + (step - 1)) // step), 0, 1, start, step)
        # Taps whose position is whole recur every `period` taps, at which the position moves back by `back`.
        common = gcd(self.stride, self.dilation)
        period, back = self.stride // common, self.dilation // common
        padded_position = result + self.before
        tap = self._first_tap(k, padded_position)
        position = (padded_position - tap * self.dilation) // self.stride
        count = (self.taps - tap + (period - 1)) // period
        first = k.maximum(0, (position - size + back) // back)
        return TapLoop(first, k.minimum(count, (position + back) // back), tap, period, position, -back)

    def _first_tap(self, k: Builder, padded_position: Value) -> Value:
        """Return the first tap whose position for `padded_position` is whole, or `taps` if there is none."""
        tap = k.constant(self.taps, padded_position.kind)
        for phase in range(self.stride):
            aligned_taps = (tap for tap in range(self.taps) if (phase - tap * self.dilation) % self.stride == 0)
            tap = k.select(k.equal(padded_position % self.stride, phase), next(aligned_taps, self.taps), tap)
        return tap


@dataclass(frozen=True)
class TapRun:
    """`tiles` tiles of `size` results each, from result `first` on, that read alike.

    `reads` holds (result in the tile, tap, position relative to the tile's base). The base of the first tile is
    `base`, and that of each further tile is `step` positions later.
    """

    first: int
    tiles: int
    size: int
    base: int
    step: int
    reads: tuple[tuple[int, int, int], ...]

    @property
    def taps(self) -> list[int]:
        """The taps in use, in order."""
        return sorted({tap for _, tap, _ in self.reads})

    @property
    def positions(self) -> list[int]:
        """The positions that are read, in order."""
        return sorted({position for _, _, position in self.reads})

    def readers(self, position: int) -> list[tuple[int, int]]:
        """Return the (result, tap) pairs that read `position`."""
        return [(result, tap) for result, tap, read in self.reads if read == position]

    def loop(self, k: Builder) -> Iterator[tuple[Operand, Operand]]:
        """Yield the first result and the base of every tile."""
        if self.tiles == 1:
            yield self.first, self.base
        else:
            with k.loop(0, self.tiles) as tile:
                yield tile * self.size + self.first, tile * self.step + self.base


@dataclass(frozen=True)
class TapLoop:
    """The iterations i = `first` … `last` (exclusive): tap `tap + i · tap_step` reads `position + i ·
    position_step`."""

    first: Value
    last: Value
    tap: Operand
    tap_step: int
    position: Value
    position_step: int

    def loop(self, k: Builder) -> Iterator[tuple[Value, Value]]:
        """Yield (tap, position) of every iteration."""
        with k.loop(self.first, self.last) as i:
            yield i * self.tap_step + self.tap, i * self.position_step + self.position
