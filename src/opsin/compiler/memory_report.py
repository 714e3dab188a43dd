"""What a plan's memory is for, and where in the step the most of it is in use."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.compiler.arena import lifetimes, room
from opsin.compiler.execution_plan import ExecutionPlan
from opsin.compiler.passes import FORWARD, OPTIMIZER
from opsin.compiler.views import Buffer

BYTES = 4
"""Of a number."""


@dataclass(frozen=True)
class StageMemory:
    """A layer of the network's own, with all in it: bytes of the arena in use at its worst moment."""

    name: str
    forward: int
    backward: int
    kept: int
    """Bytes that it makes in the forward pass and the backward pass reads."""


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of a program, by purpose; `activations` and `others` are those at the arena's worst moment."""

    parameters: int
    optimizer: int
    statistics: int
    """Variables of other kinds: running statistics, counters."""
    inputs: int
    """Images and labels."""
    prepared: int
    """Weights repacked once, and tables of constants."""
    activations: int
    """Made in the forward pass for the backward pass."""
    others: int
    """What lives shortly: results on their way, gradients, transformed tiles, and gaps."""
    scratch: int
    """Of all threads."""
    stages: tuple[StageMemory, ...]

    @property
    def arena(self) -> int:
        return self.activations + self.others

    @property
    def total(self) -> int:
        lasting = self.parameters + self.optimizer + self.statistics + self.inputs + self.prepared
        return lasting + self.arena + self.scratch


def memory_report(plan: ExecutionPlan, threads: int) -> MemoryReport:
    """The memory of `plan` on so many threads."""
    spans = {
        buffer: span
        for buffer, span in lifetimes(plan.groups, {view.buffer for view in plan.outputs.values()}).items()
        if buffer in plan.temporaries
    }
    live = _live(spans, len(plan.groups))
    kept = {buffer for buffer in spans if _is_kept(plan, buffer, spans[buffer])}
    worst = max(range(len(live)), key=live.__getitem__, default=0)
    activations = sum(BYTES * room(b.size) for b in kept if spans[b][0] <= worst <= spans[b][1])
    parameters, optimizer, statistics = _variables(plan)
    inputs = sum(room(view.buffer.size) for view in plan.inputs.values())
    prepared = plan.permanent_size - inputs - parameters - optimizer - statistics
    return MemoryReport(
        parameters=BYTES * parameters,
        optimizer=BYTES * optimizer,
        statistics=BYTES * statistics,
        inputs=BYTES * inputs,
        prepared=BYTES * (prepared + plan.table_size),
        activations=activations,
        others=BYTES * plan.arena_size - activations,
        scratch=BYTES * plan.scratch_size * threads,
        stages=_stages(plan, spans, kept, live),
    )


def _variables(plan: ExecutionPlan) -> tuple[int, int, int]:
    """Elements of parameters, of the optimizer's variables, and of others."""
    sizes = {"parameters": 0, "optimizer": 0, "statistics": 0}
    for name, view in plan.variables.items():
        trainable = plan.graph.variables[name].node.attrs["trainable"]
        kind = "parameters" if trainable else OPTIMIZER if name.startswith(f"{OPTIMIZER}.") else "statistics"
        sizes[kind] += room(view.buffer.size)
    return sizes["parameters"], sizes["optimizer"], sizes["statistics"]


def _live(spans: dict[Buffer, tuple[int, int]], groups: int) -> list[int]:
    """Bytes in use during each group."""
    steps = [0] * (groups + 2)
    for buffer, (first, last) in spans.items():
        steps[first] += BYTES * room(buffer.size)
        steps[last + 1] -= BYTES * room(buffer.size)
    live, now = [], 0
    for step in steps[:groups]:
        now += step
        live.append(now)
    return live


def _is_kept(plan: ExecutionPlan, buffer: Buffer, span: tuple[int, int]) -> bool:
    """Whether the forward pass makes what a call of another direction reads last."""
    first, last = (plan.groups[min(number, len(plan.groups) - 1)] for number in span)
    made = any(call.direction == FORWARD and buffer in call.writes for call in first.calls)
    return made and any(call.direction != FORWARD and buffer in call.reads for call in last.calls)


def _stages(
    plan: ExecutionPlan, spans: dict[Buffer, tuple[int, int]], kept: set[Buffer], live: list[int]
) -> tuple[StageMemory, ...]:
    peaks: dict[str, list[int]] = {}
    for number, group in enumerate(plan.groups):
        for call in group.calls:
            name = call.scope.partition(".")[0]
            if name and name != OPTIMIZER:
                peak = peaks.setdefault(name, [0, 0, 0])
                side = 0 if call.direction == FORWARD else 1
                peak[side] = max(peak[side], live[number])
                made = {b for b in call.writes if b in kept and spans[b][0] == number and call.direction == FORWARD}
                peak[2] += sum(BYTES * room(buffer.size) for buffer in made)
    first = {
        call.scope.partition(".")[0]: -n for n, call in enumerate(reversed(plan.calls)) if call.direction == FORWARD
    }
    order = sorted(peaks, key=lambda name: first.get(name, 1))
    return tuple(StageMemory(name, *peaks[name]) for name in order)
