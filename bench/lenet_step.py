"""One training step of LeNet-5, Opsin's native engine against PyTorch's best mode.

    python bench/lenet_step.py [--batches 64 256] [--threads 2] [--rounds 15] [--seconds 0.25] [--json FILE]

A step is forward, softmax cross-entropy, backward and SGD with momentum 0.9, on batches of the built-in digits that are
ready in memory (as arrays for Opsin, as tensors for PyTorch). All take turns in one process, with the same number of
threads. PyTorch runs eagerly and compiled, each with both layouts of memory, and with the foreach and the fused form of
its SGD; the best is the one with the lowest median. GFLOP/s count two operations for each MAC of the convolutions
and matrix products of a step; the peak is the speed of a loop of FMA instructions on the same threads in the same
rounds. Compiling needs PyTorch to find a C++ compiler; without one those rows are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from common import Step, begin, finish, interleaved, parser, print_table
from peers import LeNet5
from record import table

from opsin import data, nn, zoo
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import compile as compile_native
from opsin.backends.native.machine_peak import Peak

MODES = ("eager", "eager channels_last", "compile", "compile channels_last")
RATE, MOMENTUM = 0.01, 0.9
HEADS = ("program", "ms per step", "images/s", "GFLOP/s", "of peak", "speed against the best PyTorch")
BATCHES = 16
"""Different batches that the steps go through."""


def batches(size: int) -> list[tuple[Any, Any]]:
    """Batches of the built-in digits, as for training."""
    train = data.load("digits").train
    source = data.Batches(train, data.Preprocessing.of(train), size, seed=0)
    return list(islice(source.epoch(1), BATCHES))


def opsin_step(size: int, threads: int) -> tuple[Step, int]:
    """A step of Opsin, and its floating-point operations."""
    optimizer = nn.optimizers.SGD(momentum=MOMENTUM)
    graph = nn.training_graph(zoo.lenet5(), (1, 28, 28), optimizer=optimizer)
    program = compile_native(graph, size, threads)
    program.load_state(nn.initial_state(graph, 0))
    source = cycle(batches(size))

    def step() -> None:
        images, labels = next(source)
        program.run(inputs=images, labels=labels, learning_rate=RATE)

    return step, 2 * sum(int(node.op.macs(node)) for node in program.graph.nodes)


def torch_step(size: int, mode: str, sgd: str) -> Step:
    """A step of PyTorch in one of `MODES`, with the form `sgd` of its optimizer: foreach or fused."""
    torch.manual_seed(0)
    layout = torch.channels_last if "channels_last" in mode else torch.contiguous_format
    network = LeNet5().to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, **{sgd: True})

    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(network(images), labels)

    loss = torch.compile(loss_of, dynamic=False) if "compile" in mode else loss_of
    source = cycle(
        [(torch.from_numpy(x).contiguous(memory_format=layout), torch.from_numpy(y).long()) for x, y in batches(size)]
    )

    def step() -> None:
        images, labels = next(source)
        optimizer.zero_grad(set_to_none=True)
        loss(images, labels).backward()
        optimizer.step()

    step()
    return step


def torch_steps(size: int) -> Iterator[tuple[str, Step]]:
    """Every mode that works here, by name."""
    torch.compiler.reset()  # or it would compile for any batch, having seen another before
    for mode in MODES:
        for sgd in ("foreach", "fused"):
            try:
                yield f"PyTorch {mode}, {sgd} SGD", torch_step(size, mode, sgd)
            except Exception as error:  # whatever a compiler may raise
                reason = str(error).strip().partition("\n")[0]
                print(f"PyTorch {mode}, {sgd} SGD: left out ({type(error).__name__}: {reason})")


def measure(size: int, peak: Peak, options: Any) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """Return the results of all programs with batches of `size`, as data and as rows, after printing them."""
    step, flops = opsin_step(size, options.threads)
    steps: dict[str, Step] = {"Opsin native": step, **dict(torch_steps(size)), "FMA alone": peak}
    times = interleaved(steps, options.rounds, options.seconds)
    peaks = [peak.flops / seconds / 1e9 for seconds in times.pop("FMA alone")]
    median = {name: float(np.median(values)) for name, values in times.items()}
    best = min((name for name in times if name != "Opsin native"), key=median.__getitem__)
    figures = {}
    for name, values in times.items():
        rates = [flops / seconds / 1e9 for seconds in values]
        figures[name] = {
            "ms": Spread.of([1e3 * seconds for seconds in values]),
            "images_per_second": size / median[name],
            "gflops": flops / median[name] / 1e9,
            "share_of_peak": Spread.of_ratios(rates, peaks).median,
            "times_best_pytorch": Spread.of_ratios(times[best], values),
        }
    rows = [
        (n, f"{f['ms']:.2f}", f"{f['images_per_second']:,.0f}", f"{f['gflops']:.1f}", f"{f['share_of_peak']:.1%}",
         f"{f['times_best_pytorch']:.2f}") for n, f in figures.items()
    ]  # fmt: skip
    print(f"\nBatch {size}, {options.threads} threads, {flops / size / 1e6:.2f} MFLOP an image, "
          f"peak {Spread.of(peaks):.1f} GFLOP/s; median (least to most) of {options.rounds} rounds")  # fmt: skip
    print_table(HEADS, rows)
    peak_gflops = Spread.of(peaks)
    return {"best_pytorch": best, "flops_a_image": flops / size, "peak_gflops": peak_gflops, "figures": figures}, rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--seconds", type=float, default=0.25, help="of one turn")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    record = begin(chosen)
    peak = Peak(chosen.threads)
    record["batches"], rows = {}, []
    for size in chosen.batches:
        record["batches"][size], cells = measure(size, peak, chosen)
        rows += [(str(size), *row) for row in cells]
    finish(chosen, record | table(("batch", *HEADS), rows))


if __name__ == "__main__":
    main()
