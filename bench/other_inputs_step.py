"""Training steps on text, signals, sound and clips: Opsin's native engine against PyTorch's best float32 mode.

    python bench/other_inputs_step.py [--networks kim_cnn …] [--threads 2] [--rounds 7] [--seconds 2] [--json FILE]

A step is forward, cross-entropy, backward and SGD with momentum 0.9, on inputs that are ready in memory. The networks:

kim_cnn    sentences of 50 words out of 18,000, 300 numbers a word, 100 filters each over 3, 4 and 5 words; batch 50
           (Kim 2014)
resnet1d   signals of 12 channels × 1000 values, three residual blocks; batch 64 (Wang, Yan & Oates 2017)
ds_cnn     MFCC of a second of sound, 49 × 10, depthwise separable convolutions; batch 100 (Zhang et al. 2017)
c3d        clips of 16 frames of 112 × 112, five 3-D convolutions; batch 8 (after Tran et al. 2015, with fewer filters)

Dropout is off, so that the losses before two steps can be compared. Both begin with the same parameters and take turns
in one process. PyTorch runs eagerly and compiled, each with both layouts of memory where it has two; the best is the
one with the lowest median. Compiling needs PyTorch to find a C++ compiler; without one those rows are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
from common import Step, begin, finish, interleaved, parser, print_table
from torch import nn as t
from torch.nn import functional

from opsin import nn, ops
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import compile as compile_native
from opsin.ir import Tensor
from opsin.zoo.c3d import WIDTHS
from opsin.zoo.clips import to_clips

RATE, MOMENTUM, TOLERANCE = 0.01, 0.9, 1e-3
WORDS = 18_000
HEADS = ("network", "batch", "Opsin, ms", "best PyTorch, ms", "mode of PyTorch", "speed")


class KimCNN(nn.Layer):
    """Words to two classes."""

    def __init__(self) -> None:
        self.words = nn.Embedding(WORDS, 300)
        self.convolutions = [nn.Conv1d(100, size) for size in (3, 4, 5)]
        self.classes = nn.Linear(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x)
        features = [ops.global_max_pool2d(ops.relu(convolution(x))) for convolution in self.convolutions]
        return self.classes(ops.flatten(ops.concat(features, 1)))


class TorchKimCNN(t.Module):
    """The same in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.words = t.Embedding(WORDS, 300)
        self.convolutions = t.ModuleList(t.Conv1d(300, 100, size) for size in (3, 4, 5))
        self.classes = t.Linear(300, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.words(x).transpose(1, 2)
        return self.classes(torch.cat([torch.relu(c(x)).amax(2) for c in self.convolutions], 1))


class Block1d(nn.Layer):
    """Three convolutions over 8, 5 and 3 values, and a shortcut."""

    def __init__(self, channels: int) -> None:
        self.convolutions = [nn.Conv1d(channels, size, padding="same") for size in (8, 5, 3)]
        self.norms = [nn.BatchNorm1d() for _ in range(3)]
        self.shortcut, self.norm = nn.Conv1d(channels, 1), nn.BatchNorm1d()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(y))
            y = ops.relu(y) if number < 2 else y
        return ops.relu(ops.add(y, self.norm(self.shortcut(x))))


class TorchBlock1d(t.Module):
    """The same in PyTorch."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        widths = (before, channels, channels)
        sizes = zip(widths, (8, 5, 3), strict=True)
        self.convolutions = t.ModuleList(t.Conv1d(n, channels, size, padding="same") for n, size in sizes)
        self.norms = t.ModuleList(t.BatchNorm1d(channels) for _ in range(3))
        self.shortcut, self.norm = t.Conv1d(before, channels, 1), t.BatchNorm1d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(y))
            y = torch.relu_(y) if number < 2 else y
        return torch.relu_(y + self.norm(self.shortcut(x)))


def resnet1d() -> nn.Layer:
    blocks = [Block1d(channels) for channels in (64, 128, 128)]
    return nn.Sequential(*blocks, nn.GlobalAvgPool1d(), nn.Flatten(), nn.Linear(5))


def torch_resnet1d() -> t.Module:
    blocks = [TorchBlock1d(*pair) for pair in ((12, 64), (64, 128), (128, 128))]
    return t.Sequential(*blocks, t.AdaptiveAvgPool1d(1), t.Flatten(), t.Linear(128, 5))


def ds_cnn() -> nn.Layer:
    layers: list[nn.Layer] = [nn.Conv2d(64, (10, 4), 2, "same", bias=False), nn.BatchNorm2d(), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(64, 3, padding=1, groups=64, bias=False), nn.BatchNorm2d(), nn.ReLU()]
        layers += [nn.Conv2d(64, 1, bias=False), nn.BatchNorm2d(), nn.ReLU()]
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(12))


def torch_ds_cnn() -> t.Module:
    layers: list[t.Module] = [t.ZeroPad2d((1, 1, 4, 5)), t.Conv2d(1, 64, (10, 4), 2, bias=False)]
    layers += [t.BatchNorm2d(64), t.ReLU(inplace=True)]
    for _ in range(4):
        for convolution in (t.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False), t.Conv2d(64, 64, 1, bias=False)):
            layers += [convolution, t.BatchNorm2d(64), t.ReLU(inplace=True)]
    return t.Sequential(*layers, t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(64, 12))


class C3D(nn.Layer):
    """The network of the zoo without dropout: frames below each other to two classes."""

    def __init__(self) -> None:
        self.convolutions = [nn.Conv3d(width, 3, padding=1, bias=False) for width in WIDTHS]
        self.norms = [nn.BatchNorm3d() for _ in WIDTHS]
        self.classes = nn.Linear(2)

    def forward(self, x: Tensor) -> Tensor:
        x = to_clips(x)
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = ops.relu(norm(convolution(x)))
            if number < len(WIDTHS) - 1:
                x = ops.max_pool3d(x, (2 if number else 1, 2, 2))
        return self.classes(ops.flatten(ops.global_avg_pool3d(x)))


class TorchC3D(t.Module):
    """The same in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        sizes = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.convolutions = t.ModuleList(t.Conv3d(before, n, 3, padding=1, bias=False) for before, n in sizes)
        self.norms = t.ModuleList(t.BatchNorm3d(width) for width in WIDTHS)
        self.classes = t.Linear(WIDTHS[-1], 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = torch.relu_(norm(convolution(x)))
            if number < len(WIDTHS) - 1:
                x = functional.max_pool3d(x, (2 if number else 1, 2, 2))
        return self.classes(x.mean((2, 3, 4)))


@dataclass(frozen=True)
class Case:
    """A network in both libraries, the shape of its inputs, and how PyTorch takes them."""

    ours: Callable[[], nn.Layer]
    theirs: Callable[[], t.Module]
    batch: int
    shape: tuple[int, int, int]
    classes: int
    to_torch: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
    layouts: tuple[torch.memory_format, ...] = (torch.contiguous_format,)

    def inputs(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return noise, or random words, and labels."""
        rng = np.random.default_rng(0)
        shape = (self.batch, *self.shape)
        is_text = self.ours is KimCNN
        x = rng.integers(0, WORDS, shape) if is_text else rng.standard_normal(shape)
        return x.astype(np.float32), rng.integers(0, self.classes, self.batch).astype(np.int32)


IMAGES = (torch.contiguous_format, torch.channels_last)
CLIPS = (torch.contiguous_format, torch.channels_last_3d)
CASES = {
    "kim_cnn": Case(KimCNN, TorchKimCNN, 50, (1, 1, 50), 2, lambda x: x[:, 0, 0].long()),
    "resnet1d": Case(resnet1d, torch_resnet1d, 64, (12, 1, 1000), 5, lambda x: x[:, :, 0]),
    "ds_cnn": Case(ds_cnn, torch_ds_cnn, 100, (1, 49, 10), 12, layouts=IMAGES),
    "c3d": Case(C3D, TorchC3D, 8, (3, 16 * 112, 112), 2, lambda x: x.reshape(-1, 3, 16, 112, 112), CLIPS),
}


def opsin_step(case: Case, threads: int) -> tuple[Step, list[Any]]:
    """Return a step of Opsin, which gives the loss before it, and the parameters that it begins with."""
    x, labels = case.inputs()
    graph = nn.training_graph(case.ours(), case.shape, nn.optimizers.SGD(momentum=MOMENTUM))
    program = compile_native(graph, case.batch, threads)
    state = nn.initial_state(graph, 0)
    program.load_state(state)
    inputs = {"inputs": x, "labels": labels, "learning_rate": RATE}
    trained = [name for name, tensor in graph.variables.items() if tensor.node.attrs["trainable"]]
    return lambda: float(program.run(**inputs)["loss"]), [(name, state[name]) for name in trained]


def torch_step(case: Case, compiles: bool, layout: torch.memory_format, parameters: list[Any]) -> Step:
    """Return a step of PyTorch that begins with `parameters`, in the order of the layers."""
    x, labels = case.inputs()
    network = case.theirs()
    _load(network, parameters)
    images = case.to_torch(torch.from_numpy(x))
    if layout is not torch.contiguous_format:
        network, images = network.to(memory_format=layout), images.contiguous(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    targets = torch.from_numpy(labels).long()
    run = torch.compile(network, dynamic=False) if compiles else network

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(run(images), targets)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def _load(network: t.Module, parameters: list[Any]) -> None:
    """Copy parameters by the names of the layers, or, where both number their layers differently, by their order."""
    own = dict(network.named_parameters())
    names = [name for name, _ in parameters]
    by_name = parameters if own.keys() == set(names) else zip(own, _in_order(parameters), strict=True)
    with torch.no_grad():
        for name, value in by_name:
            own[name].copy_(torch.from_numpy(np.array(value)))


def _in_order(parameters: list[Any]) -> list[Any]:
    """Return the values in the order of the numbers of their layers, weights before biases."""
    key = lambda item: (int(item[0].split(".")[0]), "bias" in item[0])  # noqa: E731
    return [value for _, value in sorted(parameters, key=key)]


def torch_steps(case: Case, parameters: list[Any], expected: list[float]) -> Iterator[tuple[str, Step]]:
    """Yield every mode that works here, by name, after comparing its first losses with those `expected`."""
    torch.compiler.reset()
    for compiles in (False, True):
        for layout in case.layouts:
            name = ("compile" if compiles else "eager") + (
                "" if layout is torch.contiguous_format else " channels_last"
            )
            try:
                step = torch_step(case, compiles, layout, parameters)
                losses = [step(), step()]
            except Exception as error:  # whatever a compiler may raise
                print(f"PyTorch {name}: left out ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})")
                continue
            if not np.allclose(losses, expected, rtol=TOLERANCE):
                raise SystemExit(f"PyTorch {name} has the losses {losses}, and Opsin {expected}")
            yield name, step


def measure(name: str, options: Any) -> dict[str, Any]:
    """Return the figures of one network."""
    case = CASES[name]
    own, parameters = opsin_step(case, options.threads)
    expected = [own(), own()]
    times = interleaved(
        {"Opsin": own, **dict(torch_steps(case, parameters, expected))}, options.rounds, options.seconds
    )
    best = min((mode for mode in times if mode != "Opsin"), key=lambda mode: float(np.median(times[mode])))
    return {
        "network": name, "batch": case.batch, "losses": expected, "best_pytorch": best,
        "ms": {mode: Spread.of([1e3 * seconds for seconds in values]) for mode, values in times.items()},
        "speed": Spread.of_ratios(times[best], times["Opsin"]),
    }  # fmt: skip


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=list(CASES), choices=list(CASES), metavar="NAME")
    command.add_argument("--threads", type=int, default=2)
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--seconds", type=float, default=2.0, help="of one turn")
    options = command.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    record = begin(options)
    results = record["results"] = [measure(name, options) for name in options.networks]
    rows = [
        (r["network"], str(r["batch"]), f"{r['ms']['Opsin']:.1f}", f"{r['ms'][r['best_pytorch']]:.1f}",
         r["best_pytorch"], f"{r['speed']:.2f}")
        for r in results
    ]  # fmt: skip
    record["geometric_mean"] = geometric_mean(r["speed"].median for r in results)
    table = print_table(HEADS, rows)
    print(f"\nGeometric mean of the speeds: {record['geometric_mean']:.2f}")
    finish(options, record | table)


if __name__ == "__main__":
    main()
