"""Peak resident memory of a ResNet-50 training step, in Opsin and in PyTorch, each in its own process.

    python bench/memory.py --batch 8

A process imports what it needs, notes its resident memory (the baseline), makes ResNet-50 for 224 × 224 images and
SGD with momentum, and takes a few steps on random images. The peak is the largest resident memory (Linux's VmHWM).
Opsin also runs with a limit that makes it recompute activations; the losses of all steps are bit-identical. PyTorch
runs in its default layout and in channels_last.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from json import dumps, loads
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

ONLY = next((word.partition("=")[2] for word in sys.argv if word.startswith("--only=")), "")
"""Which peer this process is; each imports its own packages alone, or the baselines would be of both."""
if ONLY == "opsin":
    from opsin import nn, zoo
    from opsin.backends.native.program import compile
elif ONLY:
    import peers
    import torch
else:
    from common import begin, finish, parser, print_table

RATE = 0.01


def resident(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the most so far) of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("this system does not tell a process's peak memory: run this on Linux")


def images(batch: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, 3, 224, 224)).astype(np.float32), rng.integers(0, 1000, batch)


def opsin_step(batch: int, threads: int, memory: int | None) -> tuple[Callable[[], float], dict[str, Any]]:
    graph = nn.training_graph(zoo.resnet50(), (3, 224, 224), nn.optimizers.SGD(momentum=0.9))
    program = compile(graph, batch, threads, memory=memory)
    program.load_state(nn.initial_state(graph, seed=1))
    x, labels = images(batch)
    planned = program.plan.bytes_with(threads) / 1e6
    extra = program.plan.recomputed / (sum(call.macs for call in program.plan.calls) - program.plan.recomputed)

    def step() -> float:
        return float(program.run(inputs=x, labels=labels, learning_rate=RATE)["loss"])

    return step, {"planned": planned, "extra": extra}


def torch_step(batch: int, threads: int, channels_last: bool) -> tuple[Callable[[], float], dict[str, Any]]:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = peers.resnet50().to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9)
    x, labels = images(batch)
    x = torch.from_numpy(x).to(memory_format=layout)
    y = torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, {}


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """What one peer, `ONLY`, takes."""
    baseline = resident("VmRSS")
    batch, threads = task["batch"], task["threads"]
    if ONLY == "opsin":
        step, more = opsin_step(batch, threads, task["memory"])
    else:
        step, more = torch_step(batch, threads, channels_last="channels_last" in ONLY)
    seconds, losses = [], []
    for _ in range(task["steps"]):
        start = perf_counter()
        losses.append(step())
        seconds.append(perf_counter() - start)
    peak = resident("VmHWM")
    return {"baseline": baseline, "peak": peak, "step": median(seconds), "losses": losses, **more}


def main() -> int:
    if ONLY:
        print(dumps(measure(loads(sys.argv[2]))))
        return 0
    command = parser(__doc__ or "")
    command.add_argument("--batch", type=int, default=8, metavar="N")
    command.add_argument("--steps", type=int, default=3, metavar="N")
    command.add_argument("--threads", type=int, default=2, metavar="N")
    command.add_argument("--limits", type=int, nargs="*", default=[700, 600], metavar="MB", help="limits for Opsin")
    options = command.parse_args()
    record = begin(options)
    runs = [("opsin", None), *(("opsin", 10**6 * limit) for limit in options.limits)]
    runs += [("pytorch", None), ("pytorch channels_last", None)]
    results = record["results"] = []
    for name, memory in runs:
        task = {"batch": options.batch, "steps": options.steps, "threads": options.threads, "memory": memory}
        words = [sys.executable, __file__, f"--only={name}", dumps(task)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        shown = name + (f", limit {memory // 10**6} MB" if memory else "")
        results.append({"name": shown, **loads(done.stdout.splitlines()[-1])})
    finish(options, record | show(results))
    own = [r["losses"] for r in results if r["name"].startswith("opsin")]
    return 0 if all(losses == own[0] for losses in own) else 1


def show(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Print the results as a table, and return it."""
    peers_own = [r["peak"] - r["baseline"] for r in results if r["name"].startswith("pytorch")]
    peers_all = [r["peak"] for r in results if r["name"].startswith("pytorch")]
    heads = (
        "step",
        "imported",
        "peak",
        "above imports",
        "of PyTorch",
        "peak of PyTorch's",
        "planned",
        "extra",
        "a step",
        "loss",
    )
    rows = []
    for r in results:
        own = r["peak"] - r["baseline"]
        rows.append([
            r["name"], f"{r['baseline']:.0f} MB", f"{r['peak']:.0f} MB", f"{own:.0f} MB", f"{own / min(peers_own):.2f}",
            f"{r['peak'] / min(peers_all):.2f}",
            f"{r['planned']:.0f} MB" if "planned" in r else "", f"{r['extra']:.1%}" if "extra" in r else "",
            f"{r['step']:.2f} s", f"{r['losses'][-1]:.4f}",
        ])  # fmt: skip
    return print_table(heads, rows)


if __name__ == "__main__":
    sys.exit(main())
