"""Plans that compute row by row: stages with their rings, calls that run once at the end, and when memory is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering
from opsin.compiler.overlays import Overlays, overlays
from opsin.compiler.streaming.rings import Ring
from opsin.compiler.streaming.stages import Rhythm, Stage, stages_of
from opsin.compiler.streaming.totals import total_of
from opsin.compiler.views import Buffer, View
from opsin.kernels.ir import F32, Target


@dataclass(frozen=True)
class Step:
    """Calls that run at `count` ticks, every `period` of them from `first` on."""

    calls: tuple[KernelCall, ...]
    first: int
    period: int
    count: int

    def runs_at(self, tick: int) -> bool:
        passed = tick - self.first
        return passed >= 0 and passed % self.period == 0 and passed // self.period < self.count


@dataclass
class StreamedPlan:
    """A network that takes its image row by row.

    At every tick, the next row of the image is written to `row` while there are any; the calls of `begin` run after the
    first; and the steps run in order that are due. There are `ticks` ticks. The calls of `end` run last. `spans`
    say when each buffer lives, `overlays` which results may replace others, `scratch` holds the private memory of
    calls, and `aliases` are other names for the memory of buffers. `stages` counts the calls that run row by row.
    """

    row: View
    stages: int
    begin: list[KernelCall] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    end: list[KernelCall] = field(default_factory=list)
    spans: dict[Buffer, tuple[int, int]] = field(default_factory=dict)
    overlays: Overlays = field(default_factory=dict)
    scratch: dict[KernelCall, Buffer] = field(default_factory=dict)
    aliases: dict[Buffer, Buffer] = field(default_factory=dict)
    ticks: int = 0


def streamed_plans(
    calls: Sequence[KernelCall], image: View, outputs: Sequence[View], target: Target
) -> Iterator[StreamedPlan]:
    """Yield a plan for each number of calls that may run row by row, from none on to all that can.

    `calls` compute `outputs` from `image`, one after the other, for a single sample. There are no plans if `image` is
    no image, or if its first call does not go by rows.
    """
    if len(image.shape) != 4:
        return
    lowering = Lowering(1, 1, target)
    stages, rhythms = stages_of(calls, image.buffer, image.shape[2])
    results = {view.buffer for view in outputs}
    for count in range(1, len(stages) + 1):
        plan = _Plan(image, stages[:count], calls[count:], results, lowering, rhythms)
        if plan.is_possible:
            yield plan.build()
    for count in range(1, len(calls)):
        summed = total_of(calls[count], rhythms, lowering) if count <= len(stages) else None
        if summed is not None:
            stage, finish = summed
            rest = [finish, *calls[count + 1 :]]
            plan = _Plan(
                image,
                [*stages[:count], stage],
                rest,
                results,
                lowering,
                {**rhythms, stage.result: replace(stage.rhythm, count=1)},
            )
            if plan.is_possible:
                yield plan.build()


class _Plan:
    """A plan under construction: `stages` run row by row, and the calls of `end` after the last row."""

    def __init__(
        self, image: View, stages: Sequence[Stage], end: Sequence[KernelCall], results: set[Buffer],
        lowering: Lowering, rhythms: Mapping[Buffer, Rhythm],
    ) -> None:  # fmt: skip
        self.image, self.stages, self.end, self.results, self.lowering = image, stages, end, results, lowering
        self.read_later = {buffer for call in end for buffer in call.reads} | results
        self.rings: dict[Buffer, Ring] = {}
        for buffer in (image.buffer, *(stage.result for stage in stages)):
            readers = [(s, window) for s in stages for window in s.windows.values() if window.source is buffer]
            self.rings[buffer] = Ring(buffer, rhythms[buffer], readers, buffer in self.read_later)

    @property
    def is_possible(self) -> bool:
        """Whether no tensor is read both row by row and as a whole: its rows move on, but must stay."""
        shared = [ring for ring in self.rings.values() if ring.is_whole and ring.readers]
        return not shared and self.image.buffer not in self.read_later

    def build(self) -> StreamedPlan:
        image = self.rings[self.image.buffer]
        plan = StreamedPlan(image.newest(self.image), len(self.stages))
        plan.ticks = max(stage.rhythm.last for stage in self.stages) + 1
        for ring in self.rings.values():
            # The first row of the image is already there, in the last place.
            stop = ring.rows - (ring is image)
            plan.begin += ring.filled(self.lowering, 0, stop) if _needs_top(ring) else ()
            plan.aliases[ring.words] = ring.buffer
        self._extra_rows(plan, image, moves=False)
        for stage in self.stages:
            self._stage(plan, stage)
        if image.rows > 1:  # before the next row is written
            plan.steps.append(Step(tuple(image.moved(self.lowering)), 0, 1, plan.ticks))
        plan.end = [*self.end]
        self._lifetimes(plan)
        return plan

    def _stage(self, plan: StreamedPlan, stage: Stage) -> None:
        ring = self.rings[stage.result]
        call, rhythm = self._row_call(stage), stage.rhythm
        plan.scratch[call] = Buffer(call.scratch, F32, "scratch")
        if stage.accumulates:
            plan.begin.append(self.lowering.fill(View(ring.buffer, (ring.row,), (1,)), 0))
            plan.steps.append(Step((call,), rhythm.first, rhythm.period, rhythm.count))
            return
        moves = tuple(ring.moved(self.lowering))
        plan.steps.append(Step((*moves, call), rhythm.first, rhythm.period, rhythm.count))
        self._extra_rows(plan, ring, moves=True)

    def _extra_rows(self, plan: StreamedPlan, ring: Ring, moves: bool) -> None:
        """Add the rows that come after the last one of the tensor."""
        calls = [*(ring.moved(self.lowering) if moves else ()), *ring.filled(self.lowering, ring.rows - 1, ring.rows)]
        if calls and ring.extra_rows:
            rhythm = ring.rhythm
            plan.steps.append(Step(tuple(calls), rhythm.last + rhythm.period, rhythm.period, ring.extra_rows))

    def _row_call(self, stage: Stage) -> KernelCall:
        """Return the call of a stage with the words of its form, on rings."""
        words = iter(stage.form.words)
        arguments: list[View | int] = []
        for number, argument in enumerate(stage.call.arguments):
            if isinstance(argument, int):
                arguments.append(next(words))
            elif number in stage.windows:
                window = stage.windows[number]
                arguments.append(self.rings[window.source].window(argument, stage, window))
            elif argument.buffer is stage.result:
                arguments.append(self.rings[stage.result].newest(argument))
            else:
                arguments.append(argument)
        views = [argument for argument in arguments if isinstance(argument, View)]
        result = self.rings[stage.result].buffer
        return replace(
            stage.call, spec=stage.form.spec, arguments=tuple(arguments), blocks=stage.form.blocks,
            scratch=min(stage.call.scratch, stage.call.scratch if stage.form.scratch is None else stage.form.scratch),
            macs=stage.call.macs // max(1, stage.form.count), writes={result: False},
            reads={view.buffer: False for view in views if view.buffer is not result or stage.accumulates},
        )  # fmt: skip

    def _lifetimes(self, plan: StreamedPlan) -> None:
        """Say when each buffer lives: the image's row is written at time 0, stages follow, and then the other calls."""
        end = len(self.stages) + 1
        for ring in self.rings.values():
            plan.spans[ring.buffer] = 0, end - 1
            if ring.is_passing and not ring.is_whole:
                times = [number for number, s in enumerate(self.stages, 1) if s.result is ring.source] or [0]
                read = [number for number, s in enumerate(self.stages, 1) if s in [stage for stage, _ in ring.readers]]
                plan.spans[ring.buffer] = times[0], max([*times, *read])
        numbers = [number for number, step in enumerate(plan.scratch, 1)]
        plan.spans |= {buffer: (n, n) for n, buffer in zip(numbers, plan.scratch.values(), strict=True)}
        for number, call in enumerate(plan.end, end):
            plan.scratch[call] = Buffer(call.scratch, F32, "scratch")
            plan.spans[plan.scratch[call]] = number, number
            for buffer in (*call.reads, *call.writes):
                if buffer in plan.spans or buffer.role == "temporary":
                    plan.spans[buffer] = plan.spans.get(buffer, (number, number))[0], number
        for buffer in self.results:
            plan.spans[buffer] = plan.spans[buffer][0], end + len(plan.end)
        plan.overlays = overlays(plan.end)


def _needs_top(ring: Ring) -> bool:
    return any(window.top > 0 for _, window in ring.readers)
