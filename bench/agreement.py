"""Whether Opsin learns what PyTorch learns: the loss, step by step, from the same weights and the same batches.

    python bench/agreement.py [--networks lenet5_1998 lenet5] [--learning-rate R] [--steps 200] [--batch 64]
                              [--threads 2] [--seed 0] [--json FILE]

Opsin trains with its native engine, in float32. PyTorch trains networks written by hand (peers.py) in float64, and once
more in float32, to show what rounding alone does. All use softmax cross-entropy and SGD with momentum 0.9 on shuffled
batches of the built-in digits. The exit code is 1 where Opsin differs from PyTorch in float64 by more than 1e-3.

ReLU and max pooling choose. Now and then rounding makes another choice, that step's gradient differs by up to
a hundredth, and training magnifies the difference, the faster the higher the learning rate: at 0.05 PyTorch in float32
leaves PyTorch in float64, too. So lenet5 takes small steps here unless `--learning-rate` says otherwise.
Nothing in lenet5_1998 chooses, and it follows at rates at which it learns.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from common import begin, finish, parser, print_table
from numpy.typing import NDArray
from peers import LeNet5, LeNet5Of1998
from record import table

from opsin import data, nn, zoo
from opsin.backends.native import compile as compile_native

MOMENTUM = 0.9
TOLERANCE = 1e-3
HEADS = ("precision", "first loss", "last loss", "median difference", "largest", "at step")
NETWORKS = {"lenet5_1998": (LeNet5Of1998, 0.05), "lenet5": (LeNet5, 0.001)}
"""In PyTorch, and the learning rate."""

Batch = tuple[NDArray[np.float32], NDArray[np.int32]]
State = Mapping[str, NDArray[Any]]


def batches(size: int, steps: int, seed: int) -> list[Batch]:
    """The batches of as many epochs as it takes."""
    train = data.load("digits").train
    source = data.Batches(train, data.Preprocessing.of(train), size, seed)
    endless = chain.from_iterable(source.epoch(number) for number in count(1))
    return [(images, targets["labels"]) for images, targets in islice(endless, steps)]


def opsin_losses(
    network: str, source: Sequence[Batch], rate: float, threads: int, seed: int
) -> tuple[list[float], State]:
    """The loss before each step, and the state that it all began with."""
    optimizer = nn.optimizers.SGD(momentum=MOMENTUM)
    graph = nn.training_graph(zoo.create(network), (1, 28, 28), optimizer=optimizer)
    program, state = compile_native(graph, len(source[0][1]), threads), nn.initial_state(graph, seed)
    program.load_state(state)
    return [float(program.run(inputs=x, labels=y, learning_rate=rate)["loss"]) for x, y in source], state


def torch_losses(
    network: torch.nn.Module, source: Sequence[Batch], rate: float, state: State, dtype: torch.dtype
) -> list[float]:
    """The loss before each step."""
    network.load_state_dict({name: torch.from_numpy(state[name]) for name in network.state_dict()})
    network.to(dtype)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM)
    losses = []
    for images, labels in source:
        optimizer.zero_grad()
        logits = network(torch.from_numpy(images).to(dtype))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).long())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def measure(network: str, source: Sequence[Batch], options: Namespace) -> dict[str, Any]:
    """Return the loss curves of one network and their differences, after printing a table."""
    peer, rate = NETWORKS[network]
    rate = options.learning_rate or rate
    ours, state = opsin_losses(network, source, rate, options.threads, options.seed)
    curves = {"PyTorch float64": torch_losses(peer(), source, rate, state, torch.float64), "Opsin float32": ours}
    curves["PyTorch float32"] = torch_losses(peer(), source, rate, state, torch.float32)
    exact = np.array(curves["PyTorch float64"])
    away = {name: np.abs(np.array(curve) / exact - 1) for name, curve in curves.items()}
    rows = [
        (name, f"{curve[0]:.6f}", f"{curve[-1]:.6f}", f"{np.median(away[name]):.1e}", f"{away[name].max():.1e}",
         str(away[name].argmax() + 1)) for name, curve in curves.items()
    ]  # fmt: skip
    print(f"\n{network}: {options.steps} steps of SGD, batch {options.batch}, learning rate {rate:g}, "
          f"momentum {MOMENTUM}; difference relative to PyTorch float64")  # fmt: skip
    print_table(HEADS, rows)
    largest = {name: float(differences.max()) for name, differences in away.items()}
    return {"learning_rate": rate, "largest": largest, "losses": curves, "rows": rows}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options.add_argument("--learning-rate", type=float)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    record, source = begin(chosen), batches(chosen.batch, chosen.steps, chosen.seed)
    record["networks"] = {network: measure(network, source, chosen) for network in chosen.networks}
    rows = [(network, *row) for network, figures in record["networks"].items() for row in figures.pop("rows")]
    finish(chosen, record | table(("network", *HEADS), rows))
    sys.exit(not all(figures["largest"]["Opsin float32"] <= TOLERANCE for figures in record["networks"].values()))


if __name__ == "__main__":
    main()
