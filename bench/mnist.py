"""LeNet-5 on all of MNIST by the default recipe: how good, and how soon.

    python bench/mnist.py FOLDER [--seeds 3] [--network lenet5] [--epochs N] [--threads N]
                           [--precision bf16] [--json FILE]

FOLDER holds MNIST's four files (train-images-idx3-ubyte and so on, with or without .gz). For each seed: accuracy on the
10,000 test images after the last epoch, wall time an epoch (evaluation included), and the wall time from calling
`opsin.train`, with the images in memory, to the end of the first epoch whose test accuracy is at least 98.9%:
compiling and all evaluations included.
"""

from __future__ import annotations

from argparse import Namespace
from statistics import mean, median, stdev
from time import perf_counter
from typing import Any

from common import begin, finish, parser, print_table

import opsin
from opsin.data import Dataset
from opsin.training import Epoch, Event, Interrupted, StageStarted

GOAL = 0.989


def undivided(data: Dataset) -> Dataset:
    """All of MNIST's training images to train on; its test images are what each epoch is measured with."""
    assert data.validation is not None  # `load` always gives one
    images = Dataset(data.name, data.train, data.validation, predefined_split=True).all_images()
    return Dataset(data.name, images, data.test, predefined_split=True)


def train(data: Dataset, seed: int, options: Namespace) -> dict[str, Any]:
    """One run's figures."""
    epochs: list[Epoch] = []
    figures: dict[str, Any] = {"seed": seed, "seconds_to_goal": None, "epochs_to_goal": None}
    start = perf_counter()

    def watch(event: Event) -> None:
        if isinstance(event, StageStarted):
            figures["compiling"] = event.compiling
        if isinstance(event, Epoch):
            epochs.append(event)
            if event.held_out.accuracy >= GOAL and figures["seconds_to_goal"] is None:
                figures["seconds_to_goal"], figures["epochs_to_goal"] = perf_counter() - start, event.epoch
        if isinstance(event, Interrupted):
            raise SystemExit("interrupted")

    opsin.train(
        options.network, data, epochs=options.epochs, seed=seed, threads=options.threads,
        precision=options.precision, on_event=watch,
    )  # fmt: skip
    figures["seconds"] = perf_counter() - start
    figures["test_accuracy"] = [epoch.held_out.accuracy for epoch in epochs]
    figures["epoch_seconds"] = [epoch.seconds for epoch in epochs]
    return figures


def row(figures: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table."""
    reached = figures["seconds_to_goal"]
    return (
        str(figures["seed"]),
        f"{figures['test_accuracy'][-1]:.2%}",
        f"{max(figures['test_accuracy']):.2%}",
        str(len(figures["epoch_seconds"])),
        f"{median(figures['epoch_seconds']):.2f}",
        f"{figures['seconds']:.1f}",
        "never" if reached is None else f"{reached:.1f} (epoch {figures['epochs_to_goal']})",
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("folder", metavar="FOLDER")
    options.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, …")
    options.add_argument("--network", default="lenet5")
    options.add_argument("--epochs", type=int, help="the recipe's where none are given")
    options.add_argument("--threads", type=int, help="every core where none are given")
    options.add_argument("--precision", default="float32", help="float32 or bf16")
    chosen = options.parse_args()
    record, data = begin(chosen), undivided(opsin.data.load(chosen.folder))
    print(f"{chosen.network}: {len(data.train):,} images to learn from, {len(data.test):,} to test with")
    runs = [train(data, seed, chosen) for seed in range(chosen.seeds)]
    heads = ("seed", "test accuracy", "best epoch's", "epochs", "s an epoch", "s in all", f"s to {GOAL:.1%}")
    table = print_table(heads, [row(figures) for figures in runs])
    final = [figures["test_accuracy"][-1] for figures in runs]
    spread = f", standard deviation {stdev(final):.2%}" if len(final) > 1 else ""
    print(f"\nmean {mean(final):.3%}, from {min(final):.2%} to {max(final):.2%}{spread}")
    finish(chosen, {**record, **table, "runs": runs, "mean": mean(final)})


if __name__ == "__main__":
    main()
