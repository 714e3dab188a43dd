"""Training steps of the zoo's networks at the size of their papers' images: time to compile, memory, time of a step.

    python bench/zoo_step.py [--networks resnet50 …] [--batch 2] [--steps 3] [--threads N] [--json FILE]

Each network begins with its own first values and sees one batch of noise, in a process of its own with an empty cache
of machine code. `traced` is the time to write the whole step as a graph, `compiled` that to make machine code of it.
`memory` is what the program itself needs for parameters, their optimizer's, activations and scratch, `process` the most
that the process had in all. The time of a step is the median. The exit code is 1 where a loss is not finite.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.native import compile

NETWORKS = zoo.names("classification")


def measure(name: str, batch: int, steps: int, threads: int | None) -> dict[str, Any]:
    """The figures of one network."""
    entry, rng = zoo.find(name), np.random.default_rng(1)
    times = [perf_counter()]
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD(momentum=0.9))
    times.append(perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OPSIN_CACHE"] = folder
        program = compile(graph, batch, threads)
    times.append(perf_counter())
    program.load_state(nn.initial_state(graph, seed=1))
    inputs = {
        "inputs": rng.normal(size=(batch, *entry.input_shape)).astype(np.float32),
        "labels": rng.integers(0, entry.classes, batch),
        "learning_rate": 1e-3,
    }
    losses, seconds = [], []
    for _ in range(steps):
        start = perf_counter()
        losses.append(float(program.run(**inputs)["loss"]))
        seconds.append(perf_counter() - start)
    plan = program.plan
    numbers = plan.permanent_size + plan.arena_size + plan.table_size + plan.scratch_size * program.threads
    return {
        "network": name,
        "input": entry.input_shape,
        "nodes": len(graph.nodes),
        "calls": len(plan.calls),
        "kernels": len({call.spec for call in plan.calls}),
        "traced": times[1] - times[0],
        "compiled": times[2] - times[1],
        "megabytes": 4 * numbers / 1e6,
        "process_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "step": median(seconds),
        "losses": losses,
    }


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS, metavar="NAME")
    command.add_argument("--batch", type=int, default=2, metavar="N")
    command.add_argument("--steps", type=int, default=3, metavar="N")
    command.add_argument("--threads", type=int, metavar="N")
    options = command.parse_args()
    record = begin(options)
    results = record["results"] = []
    for name in options.networks:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            results.append(alone.submit(measure, name, options.batch, options.steps, options.threads).result())
        print(
            f"{name}: {results[-1]['compiled']:.1f} s to compile, {results[-1]['step']:.2f} s a step", file=sys.stderr
        )
    heads = ("network", "kernels", "calls", "traced", "compiled", "memory", "process", "a step", "first loss", "last")
    rows = [
        [
            r["network"], f"{r['kernels']}", f"{r['calls']}", f"{r['traced']:.1f} s", f"{r['compiled']:.1f} s",
            f"{r['megabytes']:.0f} MB", f"{r['process_megabytes']:.0f} MB", f"{1000 * r['step']:.0f} ms",
            f"{r['losses'][0]:.2f}", f"{r['losses'][-1]:.2f}",
        ]
        for r in results
    ]  # fmt: skip
    finish(options, record | print_table(heads, rows))
    return 0 if all(np.isfinite(r["losses"]).all() for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
