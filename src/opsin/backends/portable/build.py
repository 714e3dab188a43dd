"""Programs from graphs: whole ones, and those that take their image row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from numpy.typing import ArrayLike

from opsin.backends.native import Native
from opsin.backends.portable.assembly import Assembly
from opsin.backends.portable.engine import compile
from opsin.backends.portable.program import ALIGNED, COMPACT, Layout, PortableProgram, Step, Stream
from opsin.compiler.arena import lifetimes, place
from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import ExecutionPlan
from opsin.compiler.overlays import overlays
from opsin.compiler.schedule import CallGroup
from opsin.compiler.streaming import StreamedPlan, streamed_plans
from opsin.compiler.tight_arena import least_size, place_tightly
from opsin.compiler.views import Buffer
from opsin.ir import Graph
from opsin.kernels.ir import F32, PORTABLE, Target


def portable_program(
    graph: Graph, state: Mapping[str, ArrayLike], layout: Layout = ALIGNED, target: Target = PORTABLE
) -> PortableProgram:
    """Return `graph` for one sample with the variables of `state`; what depends on them alone is computed here.

    Kernels are built for `target`, which is `PORTABLE` or `PORTABLE_SMALL`.
    """
    program = _compiled(graph, state, target)
    plan, calls = program.plan, _calls(program)
    scratch = {call: Buffer(call.scratch, F32, "scratch") for call in calls} if layout.compact else {}
    offsets, arena_words = _arena(plan, calls, [*scratch.values()], layout)
    assembly = Assembly(program, offsets, scratch, layout)
    sizes = arena_words, 0 if layout.compact else plan.scratch_size
    return assembly.program(tuple(map(assembly.call, calls)), plan.inputs, plan.outputs, sizes, target)


def streamed_program(
    graph: Graph, state: Mapping[str, ArrayLike], layout: Layout = COMPACT, target: Target = PORTABLE
) -> PortableProgram | None:
    """Return `graph` as a program that takes its image row by row, as far as that saves memory; its layout is compact.

    Return None if the first operation on the image does not go by rows, or if there is no single image.
    """
    program = _compiled(graph, state, target)
    inputs, outputs = program.plan.inputs, program.plan.outputs
    if len(inputs) != 1:
        return None
    ((name, image),) = inputs.items()
    best = _smallest(streamed_plans(_calls(program), image, [*outputs.values()], target), program.plan, layout)
    if best is None:
        return None
    plan, offsets, words = best
    places = offsets | {alias: offsets[buffer] for alias, buffer in plan.aliases.items()}
    assembly = Assembly(program, places, plan.scratch, layout)
    stream = Stream(
        tuple(map(assembly.call, plan.begin)),
        tuple(Step(tuple(map(assembly.call, s.calls)), s.first, s.period, s.count) for s in plan.steps),
        image.shape[2],
        plan.ticks,
        plan.stages,
    )
    calls = tuple(map(assembly.call, plan.end))
    return assembly.program(calls, {name: plan.row}, outputs, (words, 0), target, stream)


def _smallest(
    plans: Iterable[StreamedPlan], whole: ExecutionPlan, layout: Layout
) -> tuple[StreamedPlan, dict[Buffer, int], int] | None:
    """Return the plan that needs the fewest words, with the places of its buffers."""
    candidates = []
    for plan in plans:
        spans = {buffer: span for buffer, span in plan.spans.items() if buffer not in whole.permanent}
        candidates.append((least_size(spans, layout.alignment, plan.overlays), plan, spans))
    best: tuple[StreamedPlan, dict[Buffer, int], int] | None = None
    for least, plan, spans in sorted(candidates, key=lambda candidate: candidate[0]):
        if best is not None and best[2] <= least + layout.tail:
            break
        offsets, words = place_tightly(spans, layout.alignment, plan.overlays)
        if best is None or words + layout.tail < best[2]:
            best = plan, offsets, words + layout.tail
    return best


def _compiled(graph: Graph, state: Mapping[str, ArrayLike], target: Target) -> Native:
    program = compile(graph, 1, 1, target=target)
    program.load_state(state)
    return program


def _calls(program: Native) -> list[KernelCall]:
    """Return the calls of every run, one after the other."""
    return [call for group in program.plan.groups[program.plan.setup :] for call in group.calls]


def _arena(
    plan: ExecutionPlan, calls: list[KernelCall], scratch: list[Buffer], layout: Layout
) -> tuple[dict[Buffer, int], int]:
    """Return the places of inputs, outputs, temporaries and each call's scratch in words, and the size of the arena."""
    groups = [CallGroup(False, [call]) for call in calls]
    outputs = {view.buffer for view in plan.outputs.values()}
    spans = {b: span for b, span in lifetimes(groups, outputs).items() if b not in plan.permanent}
    for view in plan.inputs.values():
        readers = [number for number, call in enumerate(calls) if view.buffer in call.reads]
        spans[view.buffer] = 0, max(readers, default=0)
    spans |= {buffer: (number, number) for number, buffer in enumerate(scratch)}
    if not layout.compact:
        return place(spans)
    offsets, words = place_tightly(spans, layout.alignment, overlays(calls))
    return offsets, words + layout.tail
