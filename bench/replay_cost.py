"""How much time a replay costs: LeNet-5 and ResNet-20 are trained with and without one, in turns.

    python bench/replay_cost.py [--rounds 5] [--json FILE]

Prints, for each network, the time of the training with a replay over that without: the median and the range of the
rounds. The time is that of the steps and of the frames, measured in the process (CPU time, so that other work on the
machine counts little); compilation is the same in both.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import process_time

from common import begin, finish, parser, print_table

import opsin
from opsin.data import Dataset


def seconds(network: str, data: Dataset, epochs: int, replay: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = process_time()
        opsin.train(network, data, epochs=epochs, run=Path(folder) / "run", replay=replay, threads=1)
        return process_time() - start


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--rounds", type=int, default=5)
    options = command.parse_args()
    record, rows, data = begin(options), [], opsin.data.load("digits")
    for network, epochs in (("lenet5", 20), ("resnet20_cifar", 2)):
        seconds(network, data, 1, True)
        ratios = [
            seconds(network, data, epochs, True) / seconds(network, data, epochs, False) for _ in range(options.rounds)
        ]
        rows.append([network, f"{epochs}", f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"])
    finish(options, record | print_table(("network", "epochs", "time with a replay over that without"), rows))


if __name__ == "__main__":
    main()
