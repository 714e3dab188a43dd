"""A compiled program: a plan with addresses, and machine code to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from opsin.backends.base import Array, checked_inputs, checked_state
from opsin.backends.native import codegen
from opsin.backends.native import tuning_cache as timed
from opsin.backends.native.driver import CALL_WORDS, GROUP_WORDS
from opsin.backends.native.kernel_store import kernel_addresses
from opsin.backends.native.pool import Job, pool
from opsin.base.concurrency import ForkLock
from opsin.base.errors import CompileError
from opsin.base.processors import processors
from opsin.compiler.calls import CHUNK, FREE, IMAGE, KernelCall
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.lower import Choices
from opsin.compiler.memory_limit import plan_within_memory
from opsin.compiler.views import Buffer, View
from opsin.ir import Graph, gc_paused
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.kernels.ir import Target

FEW = 16
"""Channels up to which an image is copied channel by channel."""
SPLITS = {IMAGE: 0, CHUNK: 1, FREE: 2}


@dataclass(frozen=True)
class Timing:
    """What one call took in one run, in the processor's time-stamp ticks, summed over threads."""

    call: KernelCall
    ticks: int


class Native:
    """A graph as machine code for this processor. Its variables are zero until `load_state`.

    Any thread may use it. There is one arena, so runs follow one another.
    """

    def __init__(self, plan: ExecutionPlan, threads: int, target: Target) -> None:
        self.plan, self.graph, self.batch, self.threads = plan, plan.graph, plan.batch, threads
        self._permanent = _aligned(plan.permanent_size)
        self._arena = _aligned(plan.arena_size)
        self._tables = _aligned(plan.table_size)
        self._scratch = [_aligned(plan.scratch_size) for _ in range(threads)]
        for buffer, offset in plan.tables.items():
            data = np.asarray(buffer.data).reshape(-1)
            self._tables[offset : offset + buffer.size] = data.view(np.float32)
        self._ticks = np.zeros((len(plan.calls), threads), np.int64)
        self._words = self._write_tables(kernel_addresses([call.spec for call in plan.calls], target))
        self._prepared = False
        self._lock = ForkLock(reentrant=False)
        self._setup = self._job(0, plan.setup)
        self._step = self._job(plan.setup, len(plan.groups) - plan.setup)
        self._inputs = {name: self._array(view) for name, view in plan.inputs.items()}
        self._variables = {name: self._array(view) for name, view in plan.variables.items()}
        self._outputs = {name: self._array(view) for name, view in plan.outputs.items()}

    # -- memory -------------------------------------------------------------------------------

    def _home(self, buffer: Buffer) -> tuple[Array, int]:
        plan = self.plan
        if buffer in plan.permanent:
            return self._permanent, plan.permanent[buffer]
        if buffer.role == "table":
            return self._tables, plan.tables[buffer]
        return self._arena, plan.temporaries[buffer]

    def _array(self, view: View) -> Array:
        """The memory of `view` as a NumPy array of its logical shape."""
        array, offset = self._home(view.buffer)
        flat = array[offset : offset + view.buffer.size]
        if view.buffer.element == "i32":
            flat = flat.view(np.int32)
        strides = tuple(4 * stride for stride in view.strides)
        return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)

    def _addresses(self) -> dict[Buffer, int]:
        plan = self.plan
        arrays = ((self._permanent, plan.permanent), (self._tables, plan.tables), (self._arena, plan.temporaries))
        return {
            buffer: start + 4 * offset
            for start, offsets in ((int(array.ctypes.data), offsets) for array, offsets in arrays)
            for buffer, offset in offsets.items()
        }

    def _write_tables(self, functions: Sequence[int]) -> dict[str, Any]:
        plan, address = self.plan, self._addresses()
        arguments: list[int] = []
        starts = []
        for call in plan.calls:
            starts.append(len(arguments))
            arguments += [a if isinstance(a, int) else address[a.buffer] + 4 * a.offset for a in call.arguments]
        words = np.array(arguments or [0], np.int64)
        calls = np.zeros((len(plan.calls), CALL_WORDS), np.int64)
        calls[:, 0], calls[:, 1] = functions, words.ctypes.data + 8 * np.array(starts, np.int64)
        calls[:, 2:4] = np.reshape([(SPLITS[call.split], call.blocks) for call in plan.calls], (-1, 2))
        groups = np.zeros((len(plan.groups), GROUP_WORDS), np.int64)
        first = 0
        for line, group in zip(groups, plan.groups, strict=True):
            line[:] = (int(group.by_image), first, first + len(group.calls))
            first += len(group.calls)
        return {"arguments": words, "groups": groups, "calls": calls}

    def _job(self, first: int, count: int) -> Job | None:
        """What the driver needs to run `count` groups from number `first` on."""
        plan, words = self.plan, self._words
        sizes = np.array([count, plan.batch, plan.chunk, -(-plan.batch // plan.chunk)], np.int64)
        words[f"sizes from {first}"] = sizes
        groups = words["groups"].ctypes.data + 8 * GROUP_WORDS * first
        scratch = [array.ctypes.data for array in self._scratch]
        return Job(groups, words["calls"].ctypes.data, sizes.ctypes.data, scratch) if count else None

    # -- running ------------------------------------------------------------------------------

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        """One run: inputs by name in, outputs by name out, in new arrays; updates are applied to the variables."""
        given = inputs if self._fit(inputs) else checked_inputs(self.graph, inputs, np.float32)
        with self._lock.lock:
            return self._run(given)

    def _run(self, given: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in given.items():
            _put(self._inputs[name], array)
        if self._setup and not self._prepared:
            pool(self.threads).run(self._setup)
        self._prepared = True
        if self._step:
            pool(self.threads).run(self._step)
        return {name: np.array(array) for name, array in self._outputs.items()}

    def _fit(self, inputs: Mapping[str, ArrayLike]) -> TypeGuard[Mapping[str, Array]]:
        """Whether all inputs are arrays just as they should be, which is quickly seen, and common."""
        return len(inputs) == len(self._inputs) and all(
            type(array) is np.ndarray and own is not None and array.shape == own.shape and array.dtype == own.dtype
            for own, array in ((self._inputs.get(name), array) for name, array in inputs.items())
        )

    def again(self, prepare: bool = False) -> float:
        """Seconds of one more run, with the inputs of the last and all threads awake.

        With `prepare` what is prepared once is made anew, too.
        """
        jobs = [job for job in (self._setup if prepare else None, self._step) if job]
        with self._lock.lock:
            pool(self.threads).meet()
            begin = perf_counter()
            for job in jobs:
                pool(self.threads).run(job)
            return perf_counter() - begin

    def profile(self, **inputs: ArrayLike) -> list[Timing]:
        """As `run`, but timed call by call."""
        calls, given = self._words["calls"], checked_inputs(self.graph, inputs, np.float32)
        with self._lock.lock:
            self._ticks[:] = 0
            calls[:, 4] = self._ticks.ctypes.data + 8 * self.threads * np.arange(len(calls))
            try:
                self._run(given)
            finally:
                calls[:, 4] = 0
            return [Timing(call, int(row.sum())) for call, row in zip(self.plan.calls, self._ticks, strict=True)]

    def state(self) -> dict[str, Array]:
        """A copy of every variable, by name, in the mathematics' order of axes."""
        with self._lock.lock:
            return {name: np.array(array, order="C") for name, array in self._variables.items()}

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        """Sets the variables named in `values`; `ShapeError` where a name or a shape is not the graph's."""
        checked = checked_state(self.graph, values, np.float32)
        with self._lock.lock:
            self._prepared = False
            for name, array in checked.items():
                self._variables[name][...] = array

    def __reduce__(self) -> NoReturn:
        raise TypeError("a compiled program belongs to its process and cannot be pickled; pickle its graph and state()")


def _put(target: Array, source: Array) -> None:
    """`target[...] = source`. Where a few channels lie together in the one and apart in the other, channel by channel:
    otherwise NumPy would go through memory in runs as short as there are channels."""
    if target.ndim == 4 and target.shape[1] <= FEW and source.flags.c_contiguous:
        for channel in range(target.shape[1]):
            target[:, channel] = source[:, channel]
    else:
        target[...] = source


def _aligned(size: int) -> Array:
    """`size` zeros (at least one), on a cache line."""
    raw = np.zeros(size + 32, np.float32)
    skip = (-raw.ctypes.data % 64) // 4
    return raw[skip : skip + max(1, size)]


@gc_paused()
@checked
def compile(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    target: Target | None = None,
    exact: bool = False,
    memory: int | None = None,
    choices: Choices | None = None,
) -> Native:
    """`graph` as a program for `batch` images a run, on `threads` threads (all processors by default).

    `exact` keeps to algorithms that round as direct summation does, without Winograd's. `memory` is the most bytes
    that the program may take: activations are computed again in the backward pass as far as that needs, with the same
    bits as results. `choices` are the ways of convolutions by problem (see `compiler.lower.ways`): unless they are
    given, or `exact`, those that were timed on this machine (see `engines.tuning`); all others are the model's.
    `target` overrides the row of the target table, for tests. With the same choices, the bits of all results are the
    same for every number of threads. `CompileError` where this processor has no row, a graph no kernel, or `memory` is
    too small.
    """
    instance("what is compiled", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    row = target or codegen.host().target
    if threads is not None and threads < 1:
        raise CompileError(f"a program runs on at least one thread, not {threads}")
    count = threads or processors()
    if choices is None:
        choices = {} if exact else timed.tuned_algorithms(row)
    if memory is None:
        return Native(make_plan(graph, batch, row, exact, choices), count, row)
    return Native(plan_within_memory(graph, batch, row, count, memory, exact, choices), count, row)
