"""One training step of SimCLR with ResNet-20, Opsin's native engine against PyTorch's best mode.

    python bench/simclr_step.py [--batches 256] [--threads 2] [--rounds 9] [--seconds 3] [--json FILE]

A step takes two views of each image of a batch: forward, projection, normalized temperature-scaled cross-entropy,
backward, and SGD with momentum 0.9. Views are noise that is ready in memory, the same for all, and so are the first
parameters. The losses before and after a step are compared. All take turns in one process, with the same number of
threads. PyTorch runs eagerly and compiled, each with both layouts of memory; the best is the one with the lowest
median. Compiling needs PyTorch to find a C++ compiler; without one those rows are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from common import Step, begin, finish, interleaved, parser, print_table
from record import table
from torch.nn import functional

from opsin import nn, zoo
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import compile as compile_native
from opsin.tasks.self_supervised.losses.two_views import SIMCLR, TEMPERATURE

NETWORK, SHAPE, VIEWS = "resnet20_cifar", (3, 32, 32), 2
MODES = ("eager", "eager channels_last", "compile", "compile channels_last")
RATE, MOMENTUM = 0.01, 0.9
TOLERANCE = 3e-4
HEADS = ("program", "ms per step", "images/s", "speed against the best PyTorch")


class Block(torch.nn.Module):
    """Two convolutions with a shortcut without parameters."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.stride = channels // before
        self.conv1 = torch.nn.Conv2d(before, channels, 3, self.stride, 1, bias=False)
        self.bn1, self.bn2 = torch.nn.BatchNorm2d(channels), torch.nn.BatchNorm2d(channels)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.added = channels - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x)))))
        shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added)) if self.added else x
        return torch.relu_(y + shortcut)


class ResNet20(torch.nn.Module):
    """Images to 64 features, and those to a projection of 128 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16)
        widths, blocks = [16, 16, 32, 64], []
        for before, channels in pairwise(widths):
            blocks.append(torch.nn.Sequential(*(Block(before if n == 0 else channels, channels) for n in range(3))))
        self.layer1, self.layer2, self.layer3 = blocks
        hidden, output = SIMCLR.widths
        self.projection1, self.norm1 = torch.nn.Linear(64, hidden), torch.nn.BatchNorm1d(hidden)
        self.projection2 = torch.nn.Linear(hidden, output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(torch.relu_(self.bn1(self.conv1(x))))))
        return self.projection2(torch.relu_(self.norm1(self.projection1(x.mean((2, 3))))))


def views(size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return two views of each image: noise that they share, and noise of their own."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((size, *SHAPE), np.float32)
    parts = [shared + rng.standard_normal((size, *SHAPE), np.float32) for _ in range(VIEWS)]
    return np.concatenate(parts) / np.float32(2**0.5)


def opsin_step(size: int, threads: int) -> tuple[Step, dict[str, Any]]:
    """Return a step of Opsin, which gives the loss before it, and the values that it begins with."""
    network = zoo.find(NETWORK)(task="self-supervised")
    graph = nn.training_graph(network, SHAPE, nn.optimizers.SGD(momentum=MOMENTUM), SIMCLR, views=VIEWS)
    program = compile_native(graph, size, threads)
    state = nn.initial_state(graph, 0)
    program.load_state(state)
    rows = np.arange(VIEWS * size, dtype=np.int32)
    inputs = {"inputs": views(size), "instances": rows, "turns": 0 * rows, "learning_rate": RATE}
    return lambda: float(program.run(**inputs)["loss"]), state


def torch_step(size: int, mode: str, state: dict[str, Any]) -> Step:
    """Return a step of PyTorch in one of `MODES` that begins with the values `state`."""
    layout = torch.channels_last if "channels_last" in mode else torch.contiguous_format
    network = ResNet20()
    renamed = {name.removeprefix("loss.").replace(".scale", ".weight").replace(".shift", ".bias"): value
               for name, value in state.items()}  # fmt: skip
    found = network.load_state_dict({n: torch.from_numpy(np.array(v)) for n, v in renamed.items()}, strict=False)
    assert all(name.endswith("num_batches_tracked") or ".norm1.running" in f".{name}" for name in found.missing_keys)
    network = network.to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    images = torch.from_numpy(views(size)).contiguous(memory_format=layout)
    diagonal = torch.eye(VIEWS * size, dtype=torch.bool)
    partners = torch.arange(VIEWS * size).roll(size)

    def loss_of(images: torch.Tensor) -> torch.Tensor:
        unit = functional.normalize(network(images))
        similarities = (unit @ unit.T / TEMPERATURE).masked_fill(diagonal, -1e9)
        return functional.cross_entropy(similarities, partners)

    loss = torch.compile(loss_of, dynamic=False) if "compile" in mode else loss_of

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        value = loss(images)
        value.backward()
        optimizer.step()
        return float(value.item())

    return step


def torch_steps(size: int, state: dict[str, Any], expected: list[float]) -> Iterator[tuple[str, Step]]:
    """Yield every mode that works here, by name, after comparing its first losses with those `expected`."""
    torch.compiler.reset()
    for mode in MODES:
        try:
            step = torch_step(size, mode, state)
            losses = [step(), step()]
        except Exception as error:  # whatever a compiler may raise
            print(f"PyTorch {mode}: left out ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})")
            continue
        if not np.allclose(losses, expected, rtol=TOLERANCE):
            raise SystemExit(f"PyTorch {mode} has the losses {losses}, and Opsin {expected}")
        yield f"PyTorch {mode}", step


def measure(size: int, options: Any) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """Return the results of all programs with batches of `size` images, as data and as rows."""
    own, state = opsin_step(size, options.threads)
    expected = [own(), own()]
    steps: dict[str, Step] = {"Opsin native": own, **dict(torch_steps(size, state, expected))}
    times = interleaved(steps, options.rounds, options.seconds)
    best = min((name for name in times if name != "Opsin native"), key=lambda name: float(np.median(times[name])))
    figures = {
        name: {
            "ms": Spread.of([1e3 * seconds for seconds in values]),
            "images_per_second": size / float(np.median(values)),
            "times_best_pytorch": Spread.of_ratios(times[best], values),
        }
        for name, values in times.items()
    }  # fmt: skip
    rows = [
        (name, f"{each['ms']:.0f}", f"{each['images_per_second']:,.0f}", f"{each['times_best_pytorch']:.2f}")
        for name, each in figures.items()
    ]
    print(f"\nBatch {size}, {options.threads} threads; median (least to most) of {options.rounds} rounds")
    print_table(HEADS, rows)
    return {"best_pytorch": best, "losses": expected, "figures": figures}, rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, nargs="+", default=[256])
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=float, default=3.0, help="of one turn")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    record = begin(chosen)
    record["batches"], rows = {}, []
    for size in chosen.batches:
        record["batches"][size], cells = measure(size, chosen)
        rows += [(str(size), *row) for row in cells]
    finish(chosen, record | table(("batch", *HEADS), rows))


if __name__ == "__main__":
    main()
