"""Whether Opsin learns what PyTorch learns: LeNet-5's loss, step by step, from the same weights and the same batches.

    python bench/agreement.py [--steps 200] [--batch 64] [--learning-rate 0.05] [--threads 2] [--seed 0] [--json FILE]

Opsin trains with its native engine, in float32. PyTorch trains in float64, with `torch.nn` modules and `torch.optim.SGD`
written by hand, and once more in float32, to show what rounding alone does. All use softmax cross-entropy and SGD with
momentum 0.9 on shuffled batches of the built-in digits. Training magnifies differences, the more so the higher the
learning rate. The exit code is 1 where Opsin differs from PyTorch in float64 by more than 1e-3.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import chain, count, islice
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

from opsin import data, nn, zoo
from opsin.engines.native import compile as compile_native

try:
    import torch
except ImportError:
    raise SystemExit("this compares with PyTorch; install it with: pip install 'opsin[torch]'") from None

MOMENTUM = 0.9
TOLERANCE = 1e-3

Batch = tuple[NDArray[np.float32], NDArray[np.int32]]
State = Mapping[str, NDArray[Any]]


class LeNet5(torch.nn.Module):
    """LeNet-5 with the parameter names of `opsin.zoo.lenet5`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = torch.nn.Linear(400, 120), torch.nn.Linear(120, 84), torch.nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1)))))
        return self.fc3(x)


def batches(size: int, steps: int, seed: int) -> list[Batch]:
    """The batches of as many epochs as it takes."""
    train = data.load("digits").train
    source = data.Batches(train, data.Preprocessing.of(train), size, seed)
    return list(islice(chain.from_iterable(source.epoch(number) for number in count(1)), steps))


def opsin_losses(source: Sequence[Batch], rate: float, threads: int, seed: int) -> tuple[list[float], State]:
    """The loss before each step, and the state that it all began with."""
    graph = nn.training_graph(zoo.lenet5(), (1, 28, 28), optimizer=nn.optimizers.SGD(momentum=MOMENTUM))
    program, state = compile_native(graph, len(source[0][1]), threads), nn.initial_state(graph, seed)
    program.load_state(state)
    return [float(program.run(pictures=x, labels=y, learning_rate=rate)["loss"]) for x, y in source], state


def torch_losses(source: Sequence[Batch], rate: float, state: State, dtype: torch.dtype) -> list[float]:
    """The loss before each step."""
    network = LeNet5().to(dtype)
    network.load_state_dict({name: torch.from_numpy(state[name]).to(dtype) for name in network.state_dict()})
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM)
    losses = []
    for pictures, labels in source:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            network(torch.from_numpy(pictures).to(dtype)), torch.from_numpy(labels).long()
        )
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--learning-rate", type=float, default=0.05)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    record, rate = begin(chosen), chosen.learning_rate
    source = batches(chosen.batch, chosen.steps, chosen.seed)
    ours, state = opsin_losses(source, rate, chosen.threads, chosen.seed)
    curves = {"PyTorch float64": torch_losses(source, rate, state, torch.float64)}
    curves |= {"Opsin float32": ours, "PyTorch float32": torch_losses(source, rate, state, torch.float32)}
    exact = np.array(curves["PyTorch float64"])
    away = {name: np.abs(np.array(curve) / exact - 1) for name, curve in curves.items()}
    rows = [
        (name, f"{curve[0]:.6f}", f"{curve[-1]:.6f}", f"{np.median(away[name]):.1e}", f"{away[name].max():.1e}",
         f"{away[name].argmax() + 1}") for name, curve in curves.items()
    ]  # fmt: skip
    print(f"LeNet-5, {chosen.steps} steps of SGD, batch {chosen.batch}, learning rate {rate:g}, momentum {MOMENTUM}; "
          "difference relative to PyTorch float64")  # fmt: skip
    print_table(("", "first loss", "last loss", "median difference", "largest", "at step"), rows)
    finish(chosen, {**record, "losses": curves, "largest": {name: float(d.max()) for name, d in away.items()}})
    sys.exit(0 if away["Opsin float32"].max() <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
