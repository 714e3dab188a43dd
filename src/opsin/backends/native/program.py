"""A compiled program: a plan with addresses, and machine code to run it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from opsin.backends.base import Array, checked_inputs, checked_state
from opsin.backends.native import codegen, tuning_cache
from opsin.backends.native.driver import CALL_WORDS, GROUP_WORDS
from opsin.backends.native.kernel_store import kernel_addresses
from opsin.backends.native.pool import Job, Pool, pool
from opsin.backends.options import DEFAULT, CompileOptions
from opsin.base.concurrency import ForkLock
from opsin.base.errors import CompileError
from opsin.base.processors import processors
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.divide_groups import divide_groups
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.lower.conv_algorithms import ConvAlgorithms
from opsin.compiler.memory_limit import plan_within_memory
from opsin.compiler.precision import Precision, precision_named
from opsin.compiler.views import Buffer, View
from opsin.ir import Graph, gc_paused
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.kernels.ir import DTYPES, ELEMENT_BYTES, Target

MAX_CHANNELS_COPIED = 16
"""Channels up to which an image is copied channel by channel."""
PARTITIONS = {Partition.PER_SAMPLE: 0, Partition.PER_CHUNK: 1, Partition.ANY: 2}
"""The numbers of partitions in the driver's tables."""


@dataclass(frozen=True)
class Timing:
    """The time of one call in one run, in ticks of the processor's time-stamp counter, summed over threads."""

    call: KernelCall
    ticks: int


class Native:
    """A graph as machine code for this processor. Its variables are zero until `load_state`.

    Any thread may use it. There is one arena: concurrent runs wait for each other.
    """

    def __init__(self, plan: ExecutionPlan, threads: int, target: Target) -> None:
        self.plan, self.graph, self.batch, self.threads = plan, plan.graph, plan.batch, threads
        self.target = target
        self._permanent = _aligned(plan.permanent_size)
        self._arena = _aligned(plan.arena_size)
        self._tables = _aligned(plan.table_size)
        self._scratch = [_aligned(plan.scratch_size) for _ in range(threads)]
        for buffer, offset in plan.tables.items():
            data = np.asarray(buffer.data).reshape(-1)
            table = self._tables[offset : offset + buffer.words]
            table.view(data.dtype)[: buffer.size] = data
        self._ticks = np.zeros((len(plan.calls), threads), np.int64)
        self._groups = divide_groups(plan.groups, plan.batch, plan.chunk, threads)
        self._words = self._write_tables(kernel_addresses([call.spec for call in plan.calls], target))
        self._is_setup = False
        self._lock = ForkLock(reentrant=False)
        self._setup_job = self._job(0, plan.setup)
        self._step_job = self._job(plan.setup, len(self._groups) - plan.setup)
        self._inputs = {name: self._array(view) for name, view in plan.inputs.items()}
        self._variables = {name: self._array(view) for name, view in plan.variables.items()}
        self._outputs = {name: self._array(view) for name, view in plan.outputs.items()}

    @property
    def _pool(self) -> Pool:
        """The threads that run the program; a forked process has its own."""
        return pool(self.threads, self.target.flush_denormals)

    # -- memory -------------------------------------------------------------------------------

    def _allocation(self, buffer: Buffer) -> tuple[Array, int]:
        plan = self.plan
        if buffer in plan.permanent:
            return self._permanent, plan.permanent[buffer]
        if buffer.role == "table":
            return self._tables, plan.tables[buffer]
        return self._arena, plan.temporaries[buffer]

    def _array(self, view: View) -> Array:
        """Return the memory of `view` as a NumPy array of its logical shape."""
        array, offset = self._allocation(view.buffer)
        elements: Array = array[offset : offset + view.buffer.words].view(DTYPES[view.buffer.element])
        strides = tuple(elements.itemsize * stride for stride in view.strides)
        return np.lib.stride_tricks.as_strided(elements[view.offset :], view.shape, strides)

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
            arguments += [
                a if isinstance(a, int) else address[a.buffer] + ELEMENT_BYTES[a.buffer.element] * a.offset
                for a in call.arguments
            ]
        words = np.array(arguments or [0], np.int64)
        calls = np.zeros((len(plan.calls), CALL_WORDS), np.int64)
        calls[:, 0], calls[:, 1] = functions, words.ctypes.data + 8 * np.array(starts, np.int64)
        calls[:, 2:4] = np.reshape([(PARTITIONS[call.partition], call.blocks) for call in plan.calls], (-1, 2))
        groups = np.zeros((len(self._groups), GROUP_WORDS), np.int64)
        first = 0
        for line, group in zip(groups, self._groups, strict=True):
            line[:] = (int(group.by_sample), first, first + len(group.calls))
            first += len(group.calls)
        return {"arguments": words, "groups": groups, "calls": calls}

    def _job(self, first: int, count: int) -> Job | None:
        """Return what the driver needs to run `count` groups from number `first` on."""
        plan, words = self.plan, self._words
        sizes = np.array([count, plan.batch, plan.chunk, -(-plan.batch // plan.chunk)], np.int64)
        words[f"sizes from {first}"] = sizes
        groups = words["groups"].ctypes.data + 8 * GROUP_WORDS * first
        scratch = [array.ctypes.data for array in self._scratch]
        memory = words, self._permanent, self._arena, self._tables, self._scratch, self._ticks
        return Job(groups, words["calls"].ctypes.data, sizes.ctypes.data, scratch, memory) if count else None

    # -- running ------------------------------------------------------------------------------

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        """Run once. Return the outputs by name, in new arrays, and apply the graph's updates to the variables."""
        arrays = inputs if self._are_exact(inputs) else checked_inputs(self.graph, inputs, np.float32)
        with self._lock.lock:
            return self._run(arrays)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in inputs.items():
            _put(self._inputs[name], array)
        self._setup()
        if self._step_job:
            self._pool.run(self._step_job)
        return {name: np.array(array) for name, array in self._outputs.items()}

    def _setup(self) -> None:
        """Run what depends on variables alone, once after they are loaded."""
        if self._setup_job and not self._is_setup:
            self._pool.run(self._setup_job)
        self._is_setup = True

    def prepared(self, buffer: Buffer) -> bytes:
        """Return the contents of a buffer that no run changes: a variable, a table, or what is prepared from them."""
        with self._lock.lock:
            self._setup()
            array, offset = self._allocation(buffer)
            return array[offset : offset + buffer.words].tobytes()

    def _are_exact(self, inputs: Mapping[str, ArrayLike]) -> TypeGuard[Mapping[str, Array]]:
        """Whether all inputs are arrays of the right shapes and types: the common case, which needs no conversion."""
        return len(inputs) == len(self._inputs) and all(
            type(array) is np.ndarray
            and input_array is not None
            and array.shape == input_array.shape
            and array.dtype == input_array.dtype
            for input_array, array in ((self._inputs.get(name), array) for name, array in inputs.items())
        )

    @property
    def tuned_algorithms(self) -> Mapping[str, str]:
        """The algorithms of convolutions that come from tuning instead of the heuristic, by problem."""
        return self.plan.tuned_algorithms

    def rerun(self, include_setup: bool = False) -> float:
        """Run once more with the inputs of the last run and all threads awake; return the seconds.

        With `include_setup` the work that is otherwise done once, such as packing weights, is repeated and counted.
        """
        jobs = [job for job in (self._setup_job if include_setup else None, self._step_job) if job]
        with self._lock.lock:
            self._pool.wake_all()
            begin = perf_counter()
            for job in jobs:
                self._pool.run(job)
            return perf_counter() - begin

    def profile(self, **inputs: ArrayLike) -> list[Timing]:
        """Run once as `run` does; return the time of every call instead of the outputs."""
        calls, arrays = self._words["calls"], checked_inputs(self.graph, inputs, np.float32)
        with self._lock.lock:
            self._ticks[:] = 0
            calls[:, 4] = self._ticks.ctypes.data + 8 * self.threads * np.arange(len(calls))
            try:
                self._run(arrays)
            finally:
                calls[:, 4] = 0
            return [Timing(call, int(row.sum())) for call, row in zip(self.plan.calls, self._ticks, strict=True)]

    def state(self) -> dict[str, Array]:
        """Return a copy of every variable, by name, in the logical order of axes."""
        with self._lock.lock:
            return {name: np.array(array, order="C") for name, array in self._variables.items()}

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        """Set the variables named in `values`; raise `ShapeError` if the graph has no such variable or shape."""
        checked = checked_state(self.graph, values, np.float32)
        with self._lock.lock:
            self._is_setup = False
            for name, array in checked.items():
                self._variables[name][...] = array

    def __reduce__(self) -> NoReturn:
        raise TypeError("a compiled program belongs to its process and cannot be pickled; pickle its graph and state()")


def _put(target: Array, source: Array) -> None:
    """Assign `target[...] = source`, channel by channel if few channels are innermost in only one of them.

    NumPy would otherwise copy runs as short as the number of channels.
    """
    if target.ndim == 4 and target.shape[1] <= MAX_CHANNELS_COPIED and source.flags.c_contiguous:
        for channel in range(target.shape[1]):
            target[:, channel] = source[:, channel]
    else:
        target[...] = source


def _aligned(size: int) -> Array:
    """Return `size` zeros (at least one), aligned to a cache line."""
    allocation = np.zeros(size + 32, np.float32)
    skip = (-allocation.ctypes.data % 64) // 4
    return allocation[skip : skip + max(1, size)]


@gc_paused()
@checked
def compile(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    target: Target | None = None,
    exact: bool = False,
    memory: int | None = None,
    choices: ConvAlgorithms | None = None,
    *,
    winograd: bool = True,
    conv_algorithms: ConvAlgorithms | None = None,
    precision: str = Precision.FLOAT32,
    options: CompileOptions = DEFAULT,
) -> Native:
    """Return `graph` as a program for `batch` samples a run, on `threads` threads (all processors by default).

    `winograd=False` excludes Winograd's algorithm, so that convolutions are rounded as direct summation does. `memory`
    is the most bytes that the program may take: as far as needed, activations are computed again in the backward pass,
    with bit-identical results in float32. `conv_algorithms` names algorithms by convolution problem (see
    `compiler.lower.conv_algorithms`); the heuristic chooses all others. Without it, and with Winograd's algorithm
    allowed, the algorithms tuned on this machine are used (see `backends.tuning`). `precision` is "float32" or "bf16":
    feature maps and their gradients are then stored as bfloat16 (see `compiler.precision`). `options` hold the same for
    callers that pass them on; a keyword that contradicts them is a `UsageError`. `target` overrides the row of the
    target table, for tests. With the same algorithms, all results are bit-identical for every number of threads.

    Raise `CompileError` if this processor has no row in the target table, if the graph has an operation without a
    kernel, or if `memory` is too small. `exact` and `choices` are the names in Opsin 0.1.0 of `winograd`, negated, and
    of `conv_algorithms`.
    """
    instance("what is compiled", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    if exact or choices is not None:
        warnings.warn(
            "compile: exact and choices are now winograd=False and conv_algorithms; the old names go with the next "
            "release", DeprecationWarning, stacklevel=4,
        )  # fmt: skip
    merged_options = options.merged(
        winograd and not exact,
        choices if conv_algorithms is None else conv_algorithms,
        memory,
        precision_named(precision),
    )
    row = target or codegen.host().target
    if threads is not None and threads < 1:
        raise CompileError(f"a program runs on at least one thread, not {threads}")
    count = threads or processors()
    algorithms = merged_options.conv_algorithms
    if algorithms is None:
        algorithms = tuning_cache.tuned_algorithms(row) if merged_options.winograd else {}
    if merged_options.memory is None:
        plan = make_plan(graph, batch, row, merged_options.winograd, algorithms, merged_options.precision)
        return Native(plan, count, row)
    plan = plan_within_memory(
        graph, batch, row, count, merged_options.memory, merged_options.winograd, algorithms, merged_options.precision
    )
    return Native(plan, count, row)
