"""Calls as stages: which of them go by rows, and when each computes.

A tick is a row of the image. Every tensor of the stages has rows that are computed `period` ticks apart, from tick
`first` on; a stage computes a row as soon as the rows under its window are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from opsin.compiler.calls import KernelCall
from opsin.compiler.overlays import operands_like_results
from opsin.compiler.views import Buffer, View
from opsin.kernels.row_form import RowForm


@dataclass(frozen=True)
class Rhythm:
    """Row r of `count` rows is there at tick `first` + `period` · r."""

    first: int
    period: int
    count: int

    @property
    def last(self) -> int:
        """The tick of the last row."""
        return self.first + self.period * (self.count - 1)


@dataclass(frozen=True)
class Window:
    """Row r of the results reads rows r · `stride` - `top` … + `span` - 1 of `source`; see `RowForm`."""

    source: Buffer
    span: int = 1
    stride: int = 1
    top: int = 0
    fill: float | int | None = None

    def rhythm(self, source: Rhythm, count: int) -> Rhythm:
        """Return when the `count` rows of the results can be computed."""
        return Rhythm(source.first + source.period * (self.span - 1 - self.top), source.period * self.stride, count)

    def reaches_outside(self, source: Rhythm, results: Rhythm) -> bool:
        """Whether a row outside the image is read."""
        return self.top > 0 or (results.count - 1) * self.stride - self.top + self.span > source.count


@dataclass(frozen=True, eq=False)
class Stage:
    """A call that computes one row of `result` at each tick of `rhythm`.

    `windows` are by the numbers of arguments. If it `accumulates`, every row is added to `result`, which is a single
    row and complete after the last tick.
    """

    call: KernelCall
    form: RowForm
    windows: Mapping[int, Window]
    result: Buffer
    rhythm: Rhythm
    accumulates: bool = False


def stage_of(call: KernelCall, rhythms: Mapping[Buffer, Rhythm]) -> Stage | None:
    """Return the call as a stage, or None; `rhythms` are those of the tensors that are computed by rows."""
    views = [argument for argument in call.arguments if isinstance(argument, View)]
    results = [view for view in views if view.buffer in call.writes]
    if len(results) != 1 or not _is_image(results[0]):
        return None
    words = [argument for argument in call.arguments if isinstance(argument, int)]
    form = call.spec.row_form(words, results[0].shape[2])
    if form is None or form.count != results[0].shape[2]:
        return None
    windows = _windows(call, form)
    read = [view for view in views if view.buffer in rhythms and view.buffer in call.reads]
    sources = {window.source for window in windows.values()}
    if not sources <= rhythms.keys() or any(view.buffer not in sources or not _is_image(view) for view in read):
        return None
    starts = [window.rhythm(rhythms[window.source], form.count) for window in windows.values()]
    if len({start.period for start in starts}) != 1:
        return None
    rhythm = replace(starts[0], first=max(start.first for start in starts))
    outside = [w for w in windows.values() if w.reaches_outside(rhythms[w.source], rhythm)]
    if any(window.fill is None for window in outside):
        return None
    return Stage(call, form, windows, results[0].buffer, rhythm)


def _windows(call: KernelCall, form: RowForm) -> dict[int, Window]:
    """Return how a stage reads the images among its arguments, and the epilogue's operands like its results."""
    found: dict[int, Window] = {}
    elementwise = operands_like_results(call)
    for number, view in enumerate(call.arguments):
        if isinstance(view, View) and number in form.images:
            found[number] = Window(view.buffer, form.span, form.stride, form.top, form.fill)
        elif isinstance(view, View) and view in elementwise:
            found[number] = Window(view.buffer)
    return found


def _is_image(view: View) -> bool:
    """Whether the view is a whole image with its channels innermost, so that rows are parts of its buffer."""
    is_single = len(view.shape) == 4 and view.shape[0] == 1
    return is_single and view.offset == 0 and view.size == view.buffer.size and view.is_dense((0, 2, 3, 1))


def stages_of(calls: Sequence[KernelCall], image: Buffer, rows: int) -> tuple[list[Stage], dict[Buffer, Rhythm]]:
    """Return the first calls as stages, as far as they can be, and the rhythms of their tensors.

    `image` has `rows` rows, one for each tick.
    """
    rhythms = {image: Rhythm(0, 1, rows)}
    fills: dict[Buffer, float | int] = {}
    stages: list[Stage] = []
    for call in calls:
        stage = stage_of(call, rhythms)
        if stage is None:
            break
        outside = [w for w in stage.windows.values() if w.reaches_outside(rhythms[w.source], stage.rhythm)]
        if any(fills.setdefault(w.source, w.fill) != w.fill for w in outside):  # type: ignore[arg-type]
            break
        stages.append(stage)
        rhythms[stage.result] = stage.rhythm
    return stages, rhythms
