"""Training in bfloat16, step by step: Opsin, and PyTorch's autocast, from the same weights and the same batches.

    python bench/bf16_loss.py DATA [--network resnet20_cifar] [--steps 200] [--batch 128] [--learning-rate 0.05]
                              [--seeds 3] [--threads 2] [--json FILE]

DATA is whatever `opsin train` takes. Both train in float32 and in bfloat16, with softmax cross-entropy and SGD with
momentum 0.9, once for each seed of the weights and the order of the images. A row is a seed. The losses are means over
the last quarter of the steps; the distance between two curves is the mean difference of their means over ten steps.
"""

from __future__ import annotations

from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from common import begin, finish, parser, print_table
from numpy.typing import NDArray
from record import table
from torch.nn import functional

import opsin
from opsin import data, nn, zoo
from opsin.apps.benchmark.layer_list import deterministic, layer_list
from opsin.apps.benchmark.workers.pytorch_network import Network
from opsin.backends.native import compile as compile_native

MOMENTUM, WINDOW = 0.9, 10
HEADS = (
    "seed", "Opsin, float32", "Opsin, bf16", "PyTorch, float32", "PyTorch, bf16", "curves in bf16",
    "float32 and bf16, Opsin", "float32 and bf16, PyTorch",
)  # fmt: skip

Batch = tuple[NDArray[np.float32], NDArray[np.int32]]
Curve = NDArray[np.float64]


def batches(source: Any, preprocessing: Any, size: int, steps: int, seed: int) -> list[Batch]:
    """The batches of as many epochs as it takes."""
    batches_of_epochs = data.Batches(source, preprocessing, size, seed)
    endless = chain.from_iterable(batches_of_epochs.epoch(number) for number in count(1))
    return [(images, targets["labels"]) for images, targets in islice(endless, steps)]


def opsin_curve(graph: Any, state: Any, source: list[Batch], rate: float, threads: int, precision: str) -> Curve:
    """The loss before each step of Opsin."""
    program = compile_native(graph, len(source[0][1]), threads, precision=precision)
    program.load_state(state)
    return np.array([float(program.run(inputs=x, labels=y, learning_rate=rate)["loss"]) for x, y in source])


def pytorch_curve(description: Any, state: Any, source: list[Batch], rate: float, precision: str) -> Curve:
    """The loss before each step of PyTorch, in bfloat16 by autocast."""
    network = Network(description)
    names = {name for step in description["steps"] for name in step["parameters"].values()}
    network.load({name: values for name, values in state.items() if name in names})
    module: Any = network.module.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(module.parameters(), lr=rate, momentum=MOMENTUM)
    losses = []
    for images, labels in source:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            (logits, *_) = module(torch.from_numpy(np.ascontiguousarray(images)))
        loss = functional.cross_entropy(logits.float(), torch.from_numpy(labels).long())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def distance(a: Curve, b: Curve) -> float:
    """The mean difference of the means over successive windows."""
    windows = len(a) // WINDOW * WINDOW
    return float(np.abs((a - b)[:windows].reshape(-1, WINDOW).mean(1)).mean())


def main() -> None:
    options_parser = parser(__doc__ or "")
    options_parser.add_argument("data")
    options_parser.add_argument("--network", default="resnet20_cifar")
    for name, default in (("steps", 200), ("batch", 128), ("seeds", 3), ("threads", 2)):
        options_parser.add_argument(f"--{name}", type=int, default=default)
    options_parser.add_argument("--learning-rate", type=float, default=0.05)
    options = options_parser.parse_args()
    record = begin(options)
    torch.set_num_threads(options.threads)
    dataset = opsin.data.load(options.data)
    preprocessing = data.Preprocessing.of(dataset.train)
    network, (channels, height, width) = zoo.create(options.network, len(dataset.classes)), preprocessing.input_shape
    shape = (channels, height, width)
    graph = nn.training_graph(network, shape, nn.optimizers.SGD(momentum=MOMENTUM))
    description = layer_list(options.network, deterministic(network), shape, True).to_data()
    curves: dict[tuple[str, str], list[Curve]] = {}
    rows = []
    for seed in range(options.seeds):
        state = nn.initial_state(graph, seed)
        source = batches(dataset.train, preprocessing, options.batch, options.steps, seed)
        for precision in ("float32", "bf16"):
            rate, threads = options.learning_rate, options.threads
            own = opsin_curve(graph, state, source, rate, threads, precision)
            curves.setdefault(("Opsin", precision), []).append(own)
            theirs = pytorch_curve(description, state, source, rate, precision)
            curves.setdefault(("PyTorch", precision), []).append(theirs)
        last = {key: each[-1][-options.steps // 4 :].mean() for key, each in curves.items()}
        own32, own16, peer32, peer16 = (curves[key][-1] for key in (
            ("Opsin", "float32"), ("Opsin", "bf16"), ("PyTorch", "float32"), ("PyTorch", "bf16")
        ))  # fmt: skip
        figures = [last["Opsin", "float32"], last["Opsin", "bf16"], last["PyTorch", "float32"], last["PyTorch", "bf16"]]
        figures += [distance(own16, peer16), distance(own32, own16), distance(peer32, peer16)]
        rows.append([str(seed), *(f"{figure:.4f}" for figure in figures)])
    peers = curves["PyTorch", "bf16"]
    between = [distance(a, b) for i, a in enumerate(peers) for b in peers[:i]]
    print_table(HEADS, rows)
    if between:
        print(f"distance between PyTorch's own seeds in bfloat16: {min(between):.4f} to {max(between):.4f}")
    finish(options, record | table(HEADS, rows) | {"between_seeds": between})


if __name__ == "__main__":
    main()
