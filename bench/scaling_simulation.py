"""How a training step would scale to many threads: a simulation from the times of its calls on one thread.

    python bench/scaling_simulation.py [--networks vgg16:8 …] [--threads 2 4 …] [--seconds 6] [--json FILE]

The time of each call on one thread is measured. Then the threads are simulated: each claims units of work by the rules
of the driver (`backends/native/driver.py`), and a group ends when its last unit does. Efficiency is the speed-up
divided by the number of threads. What is assumed: every block of a call takes the same time, every core is as fast as
the one that was measured and has as much memory bandwidth, and a barrier takes a tenth of a microsecond for each
thread. The simulation therefore shows where blocks are too few or uneven, and no limits of memory.

Two threads are also measured, in alternation with one, if the machine has two cores.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.native import compile
from opsin.backends.native.clock import ticks_per_second
from opsin.backends.native.driver import PIECES
from opsin.base.processors import processors
from opsin.compiler.calls import KernelCall
from opsin.compiler.divide_groups import BARRIER_SECONDS, blocks, divide_groups
from opsin.compiler.schedule import CallGroup

CASES = ("lenet5:64", "resnet20_cifar:128", "alexnet:64", "vgg16:8", "googlenet:16", "resnet18:16", "resnet50:8",
         "mobilenet_v2:16")  # fmt: skip
UNIT_SECONDS = 8e-9
"""The time to claim a unit, measured with calls that have no blocks."""
LIMITS = 4
"""Calls that are listed for each network and number of threads."""


@dataclass
class Step:
    """A network's step: its batch, chunk and groups, and the seconds of each call on one thread."""

    name: str
    batch: int
    chunk: int
    groups: list[CallGroup]
    seconds: dict[KernelCall, float]
    walls: dict[int, float]
    """Measured seconds of a step, by number of threads."""


def measure(name: str, batch: int, seconds: float) -> Step:
    """Return the step of a network, measured for about `seconds`."""
    entry, rng = zoo.find(name), np.random.default_rng(1)
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD(momentum=0.9))
    inputs = {
        "inputs": rng.normal(size=(batch, *entry.input_shape)).astype(np.float32),
        "labels": rng.integers(0, entry.classes, batch),
        "learning_rate": 1e-4,
    }
    programs = {threads: compile(graph, batch, threads) for threads in (1, 2) if threads <= processors()}
    for program in programs.values():
        program.load_state(nn.initial_state(graph, seed=1))
        program.run(**inputs)
    ticks, walls, end = [], dict.fromkeys(programs, np.inf), perf_counter() + seconds
    while len(ticks) < 3 or perf_counter() < end:
        ticks.append([timing.ticks for timing in programs[1].profile(**inputs)])
        for threads, program in programs.items():
            walls[threads] = min(walls[threads], program.rerun())
    plan = programs[1].plan
    times = np.min(ticks, axis=0) / ticks_per_second()
    return Step(
        name, batch, plan.chunk, plan.groups[plan.setup :], dict(zip(plan.calls, times, strict=True)), walls
    )  # fmt: skip


# -- simulation -------------------------------------------------------------------------------


def simulate(step: Step, threads: int) -> tuple[float, Counter[str]]:
    """Return the seconds of a step, and for each limiting call the seconds in which threads wait, over all threads."""
    total, waiting = 0.0, Counter[str]()
    for group in divide_groups(step.groups, step.batch, step.chunk, threads):
        seconds = group_seconds(step, group, threads)
        longest = max(group.calls, key=step.seconds.__getitem__)
        work = sum(step.seconds[call] for call in group.calls)
        count = -(-step.batch // step.chunk) if group.by_sample else blocks(longest, step.batch)
        waiting[f"{describe(longest)}, {count} {'chunks' if group.by_sample else 'blocks'}"] += threads * seconds - work
        total += seconds
    return total, waiting


def describe(call: KernelCall) -> str:
    """Return the kernel, the layer and the pass of a call."""
    return f"{type(call.spec).__name__}, {call.scope} {call.direction}".strip()


def group_seconds(step: Step, group: CallGroup, threads: int) -> float:
    """Return the time of a group: threads claim units, their own first, as in the driver."""
    units = [_chunk_times, _piece_times][not group.by_sample](step, group, threads)
    claimed, finish_time = [0] * threads, 0.0
    queue = [(0.0, thread, 0) for thread in range(threads)]
    while queue:
        now, thread, distance = heappop(queue)
        while distance < threads and claimed[owner := (thread + distance) % threads] == len(units[owner]):
            distance += 1
        if distance == threads:
            finish_time = max(finish_time, now)
            continue
        heappush(queue, (now + UNIT_SECONDS + units[owner][claimed[owner]], thread, distance))
        claimed[owner] += 1
    return finish_time + BARRIER_SECONDS * threads * (threads > 1)


def _chunk_times(step: Step, group: CallGroup, threads: int) -> list[list[float]]:
    """Return for each thread the times of its units in a group by sample: chunks, with all calls."""
    chunks = -(-step.batch // step.chunk)
    whole = sum(step.seconds[call] for call in group.calls)
    sizes = [min(step.batch - chunk * step.chunk, step.chunk) for chunk in range(chunks)]
    times = [whole * size / step.batch for size in sizes]
    return [times[chunks * t // threads : chunks * (t + 1) // threads] for t in range(threads)]


def _piece_times(step: Step, group: CallGroup, threads: int) -> list[list[float]]:
    """Return for each thread the times of its units in a group by blocks: pieces of each call."""
    pieces = PIECES if threads > 1 else 1
    units: list[list[float]] = [[] for _ in range(threads)]
    for call in group.calls:
        total = blocks(call, step.batch)
        for thread, times in enumerate(units):
            share = total * (thread + 1) // threads - total * thread // threads
            counts = [share * (p + 1) // pieces - share * p // pieces for p in range(pieces)]
            times += [step.seconds[call] * count / max(1, total) for count in counts]
    return units


# -- results ----------------------------------------------------------------------------------


def results(step: Step, counts: Sequence[int]) -> dict[str, Any]:
    """Return predicted and measured times, and the calls that limit each number of threads."""
    simulated = {threads: simulate(step, threads) for threads in (1, *counts)}
    return {
        "network": step.name,
        "batch": step.batch,
        "groups": len(step.groups),
        "measured": step.walls,
        "predicted": {threads: seconds for threads, (seconds, _) in simulated.items()},
        "limits": {
            threads: {name: lost / (threads * seconds) for name, lost in waiting.most_common(LIMITS)}
            for threads, (seconds, waiting) in simulated.items()
            if threads > 1
        },
    }


def row(result: dict[str, Any], counts: Sequence[int]) -> list[str]:
    """Return a row of the table."""
    measured, predicted = result["measured"], result["predicted"]
    efficiencies = [f"{predicted[1] / predicted[threads] / threads:.0%}" for threads in counts]
    two = f"{measured[1] / measured[2] / 2:.0%}" if 2 in measured else ""
    return [result["network"], str(result["batch"]), f"{1e3 * measured[1]:.3g}", two, *efficiencies]


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=CASES, metavar="NAME:BATCH")
    command.add_argument("--threads", nargs="+", type=int, default=[2, 4, 8, 16, 32, 64], metavar="N")
    command.add_argument("--seconds", type=float, default=6.0, metavar="S", help="measure each network for S seconds")
    options = command.parse_args()
    record = begin(options)
    table = record["results"] = []
    for case in options.networks:
        name, _, batch = case.partition(":")
        table.append(results(measure(name, int(batch or 16), options.seconds), options.threads))
        print(f"{name}: {1e3 * table[-1]['measured'][1]:.3g} ms on one thread", file=sys.stderr)
    efficiencies = [f"{threads} threads" for threads in options.threads]
    heads = ["network", "batch", "ms on 1 thread", "2 threads, measured", *efficiencies]
    printed = print_table(heads, [row(result, options.threads) for result in table])
    for result in table:
        for threads in (16, 64):
            limits = result["limits"].get(threads, {})
            for name, share in limits.items():
                print(f"{result['network']}, {threads} threads: {share:.1%} of the time waiting at {name}")
    finish(options, record | printed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
