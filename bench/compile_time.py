"""How long it takes from a network to a program that trains it, and where the time goes.

    python bench/compile_time.py [--networks resnet50 …] [--batch 16] [--threads 2] [--runs 3] [--json FILE]

Every measurement is a process of its own: with an empty cache of machine code, then again with the one that this
left. Medians of the runs. `in all` is what a user waits for once Opsin is imported, tracing included. The parts
exclude each other; kernels are compiled in several processes at once, of which building, rendering and LLVM
are what the asking one does itself, and `waiting` is for the others. Files are temporary; the user's cache is
neither used nor changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from time import perf_counter
from typing import Any

from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import cache, codegen, compile, compile_workers, kernel_store, program
from opsin.compiler import execution_plan as planner

IMPORTING = """
from time import perf_counter
begin = perf_counter()
from opsin import nn, zoo
from opsin.backends.native import compile
print(perf_counter() - begin)
"""
NETWORKS = ("lenet5", "resnet20_cifar", "resnet18", "resnet50", "resnet152", "googlenet", "mobilenet_v2", "densenet121")
STATES = ("cold", "cached")


class Clock:
    """Seconds by part: of nested parts, time counts for the innermost."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._last = perf_counter()

    def _settle(self) -> None:
        now = perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] = self.seconds.get(self._stack[-1], 0.0) + now - self._last
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._settle()
        self._stack.append(name)
        try:
            yield
        finally:
            self._settle()
            self._stack.pop()

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """From now on, what the main thread spends in `owner.attribute` counts as `name`."""
        inner: Callable[..., Any] = getattr(owner, attribute)

        def timed(*args: Any, **kwargs: Any) -> Any:
            if current_thread() is not main_thread():
                return inner(*args, **kwargs)
            with self.part(name):
                return inner(*args, **kwargs)

        setattr(owner, attribute, timed)


def measure(name: str, batch: int, threads: int) -> dict[str, Any]:
    """The figures of one network in this process, which has not compiled anything yet."""
    clock = Clock()
    for owner, attribute, part in (
        (planner, "simplify", "simplify"), (planner, "rematerialize_cheap", "recompute"),
        (planner, "memory_bound", "recompute"), (planner, "recompute", "recompute"),
        (planner, "fusion_groups", "fusion"),
        (planner, "update_in_place", "in place"), (planner, "lower_group", "lower"), (planner, "schedule", "schedule"),
        (planner, "sink_calls", "schedule"), (planner, "split_groups", "schedule"), (planner, "place", "arena"),
        (program, "make_plan", "plan: rest"),
        (cache, "read", "read"), (cache, "write", "write"), (codegen, "load", "link"),
        (kernel_store, "compile_all", "waiting"), (compile_workers, "compile_kernel", "build"),
        (compile_workers, "render", "render"),
        (codegen, "object_code", "LLVM"),
    ):  # fmt: skip
        clock.watch(owner, attribute, part)
    entry = zoo.find(name)
    start = perf_counter()
    with clock.part("trace"):
        graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD(momentum=0.9))
    with clock.part("rest"):
        made = compile(graph, batch, threads)
    return {
        "in all": perf_counter() - start,
        "nodes": len(graph.nodes),
        "calls": len(made.plan.calls),
        "kernels": len({call.spec for call in made.plan.calls}),
        "parts": clock.seconds,
    }


def runs(name: str, batch: int, threads: int, count: int) -> dict[str, list[dict[str, Any]]]:
    """What `count` pairs of processes measure: the first of each finds an empty cache, the second a full one."""
    found: dict[str, list[dict[str, Any]]] = {state: [] for state in STATES}
    command = [sys.executable, __file__, "--worker", name, str(batch), str(threads)]
    for _ in range(count):
        with TemporaryDirectory() as folder:
            for state in STATES:
                done = subprocess.run(
                    command, env={**os.environ, "OPSIN_CACHE": folder}, check=True, stdout=subprocess.PIPE
                )
                found[state].append(json.loads(done.stdout))
    return found


def typical(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several measurements."""
    first = results[0]
    parts = {part: median(r["parts"].get(part, 0.0) for r in results) for part in first["parts"]}
    return first | {"in all": median(r["in all"] for r in results), "parts": parts}


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME")
    command.add_argument("--batch", type=int, default=16, metavar="N")
    command.add_argument("--threads", type=int, default=2, metavar="N")
    command.add_argument("--runs", type=int, default=3, metavar="N")
    options = command.parse_args()
    record = begin(options)
    imports = [float(subprocess.check_output([sys.executable, "-c", IMPORTING])) for _ in range(options.runs)]
    record["importing"], record["results"] = imports, {}
    print(f"importing: {Spread.of(imports):.2f} s")
    for name in options.networks:
        found = runs(name, options.batch, options.threads, options.runs)
        record["results"][name] = found
        print_table(*table(name, found))
    rows = [[name, *summary(found)] for name, found in record["results"].items()]
    finish(options, record | print_table(("total seconds", *STATES), rows))


def summary(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Cold and cached: median (least to most)."""
    return [f"{Spread.of([r['in all'] for r in found[state]]):.2f}" for state in STATES]


def table(name: str, found: dict[str, list[dict[str, Any]]]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Heads and rows: seconds by part, cold and cached."""
    made = {state: typical(results) for state, results in found.items()}
    cold = made["cold"]
    parts = list(dict.fromkeys(part for state in STATES for part in made[state]["parts"]))
    seconds = {part: [made[state]["parts"].get(part, 0.0) for state in STATES] for part in parts}
    seconds["in all"] = [made[state]["in all"] for state in STATES]
    rows = [[part, *(f"{value:.2f}" for value in values)] for part, values in seconds.items()]
    return (f"{name}: {cold['nodes']} nodes, {cold['calls']} calls, {cold['kernels']} kernels", *STATES), rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main()
