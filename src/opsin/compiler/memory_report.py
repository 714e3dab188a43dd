"""The use of a plan's memory, by purpose and by stage of the step."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.compiler.arena import aligned_size, lifetimes
from opsin.compiler.execution_plan import ExecutionPlan
from opsin.compiler.passes import FPROP, OPTIMIZER
from opsin.compiler.views import WORD_BYTES, Buffer

PROCESS_BYTES = 120 * 10**6
"""Bytes of a process besides its plan: Python, NumPy, LLVM, compiled kernels. Training steps of LeNet-5, ResNet-20 and
MobileNetV2 took 98 to 127 MB more than their plans on x86-64 with Linux."""


@dataclass(frozen=True)
class StageMemory:
    """A top-level layer of a network, with all layers in it: the most bytes of the arena in use while it runs."""

    name: str
    forward: int
    backward: int
    kept: int
    """Bytes of activations that it stores for the backward pass."""


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of a program, by purpose; `activations` and `others` are those when most of the arena is in use."""

    parameters: int
    optimizer: int
    statistics: int
    """Variables of other kinds: running statistics, counters."""
    inputs: int
    """Images and labels."""
    prepared: int
    """Weights repacked once, and tables of constants."""
    activations: int
    """Results of the forward pass stored for the backward pass."""
    others: int
    """Short-lived buffers: intermediate results, gradients, transformed tiles, and gaps."""
    scratch: int
    """Scratch memory of all threads."""
    stages: tuple[StageMemory, ...]

    @property
    def arena(self) -> int:
        return self.activations + self.others

    @property
    def total(self) -> int:
        permanent = self.parameters + self.optimizer + self.statistics + self.inputs + self.prepared
        return permanent + self.arena + self.scratch


def memory_report(plan: ExecutionPlan, threads: int) -> MemoryReport:
    """Return the memory of `plan` on `threads` threads, in bytes."""
    spans = {
        buffer: span
        for buffer, span in lifetimes(plan.groups, {view.buffer for view in plan.outputs.values()}).items()
        if buffer in plan.temporaries
    }
    live_sizes = _live(spans, len(plan.groups))
    stored_buffers = {buffer for buffer in spans if _is_stored(plan, buffer, spans[buffer])}
    peak = max(range(len(live_sizes)), key=live_sizes.__getitem__, default=0)
    activations = sum(WORD_BYTES * aligned_size(b.words) for b in stored_buffers if spans[b][0] <= peak <= spans[b][1])
    parameters, optimizer, statistics = _variables(plan)
    inputs = sum(aligned_size(view.buffer.words) for view in plan.inputs.values())
    prepared = plan.permanent_size - inputs - parameters - optimizer - statistics
    return MemoryReport(
        parameters=WORD_BYTES * parameters,
        optimizer=WORD_BYTES * optimizer,
        statistics=WORD_BYTES * statistics,
        inputs=WORD_BYTES * inputs,
        prepared=WORD_BYTES * (prepared + plan.table_size),
        activations=activations,
        others=WORD_BYTES * plan.arena_size - activations,
        scratch=WORD_BYTES * plan.scratch_size * threads,
        stages=_stages(plan, spans, stored_buffers, live_sizes),
    )


def _variables(plan: ExecutionPlan) -> tuple[int, int, int]:
    """Return the words of parameters, of the optimizer's variables, and of others."""
    sizes = {"parameters": 0, "optimizer": 0, "statistics": 0}
    for name, view in plan.variables.items():
        trainable = plan.graph.variables[name].node.attrs["trainable"]
        kind = "parameters" if trainable else OPTIMIZER if name.startswith(f"{OPTIMIZER}.") else "statistics"
        sizes[kind] += aligned_size(view.buffer.words)
    return sizes["parameters"], sizes["optimizer"], sizes["statistics"]


def _live(spans: dict[Buffer, tuple[int, int]], groups: int) -> list[int]:
    """Return the bytes in use during each group."""
    changes = [0] * (groups + 2)
    for buffer, (first, last) in spans.items():
        changes[first] += WORD_BYTES * aligned_size(buffer.words)
        changes[last + 1] -= WORD_BYTES * aligned_size(buffer.words)
    live_sizes, current = [], 0
    for change in changes[:groups]:
        current += change
        live_sizes.append(current)
    return live_sizes


def _is_stored(plan: ExecutionPlan, buffer: Buffer, span: tuple[int, int]) -> bool:
    """Whether the forward pass writes what a call of another pass reads last."""
    first, last = (plan.groups[min(number, len(plan.groups) - 1)] for number in span)
    is_activation = any(call.direction == FPROP and buffer in call.writes for call in first.calls)
    return is_activation and any(call.direction != FPROP and buffer in call.reads for call in last.calls)


def _stages(
    plan: ExecutionPlan, spans: dict[Buffer, tuple[int, int]], stored_buffers: set[Buffer], live_sizes: list[int]
) -> tuple[StageMemory, ...]:
    peaks: dict[str, list[int]] = {}
    for number, group in enumerate(plan.groups):
        for call in group.calls:
            name = call.scope.partition(".")[0]
            if name and name != OPTIMIZER:
                peak = peaks.setdefault(name, [0, 0, 0])
                side = 0 if call.direction == FPROP else 1
                peak[side] = max(peak[side], live_sizes[number])
                if call.direction == FPROP:
                    stored_writes = {b for b in call.writes if b in stored_buffers and spans[b][0] == number}
                    peak[2] += sum(WORD_BYTES * aligned_size(buffer.words) for buffer in stored_writes)
    first = {call.scope.partition(".")[0]: -n for n, call in enumerate(reversed(plan.calls)) if call.direction == FPROP}
    order = sorted(peaks, key=lambda name: first.get(name, 1))
    return tuple(StageMemory(name, *peaks[name]) for name in order)
