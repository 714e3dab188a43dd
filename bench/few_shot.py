"""One to five images of each class: prototypes on published features, against ordinary training on the same images.

    python bench/few_shot.py FOLDER [--counts 1 2 5] [--draws 10] [--threads N] [--json FILE]

FOLDER has class folders in train/ and test/. Each draw takes so many training images of each class at random.
"Few-shot" is what `opsin train` does with them; "ordinary training" is the plan of `opsin train --no-search` on the
same images: the last layer is trained by gradient descent on features of several views. Both begin with the published
weights of EfficientNet-Lite0. Accuracies are those on all test images, the mean over the draws with its standard
deviation. "Left out" is the mean of what the model says of itself: images that are left out in turn. "Within the
bounds" counts the draws whose test accuracy lies in the 95 percent interval that was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

from opsin.data import Dataset, load
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.training import Trainer
from opsin.training.few_shot import fit
from opsin.training.few_shot_trainer import FewShotTrainer, unit_features

HOUR = 3600.0

COLUMNS = (
    "images of each class", "few-shot", "ordinary training", "few-shot is better", "left out", "within the bounds"
)  # fmt: skip

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Draw:
    """The result of some images of each class: test accuracies, and the leave-one-out estimate with its bounds."""

    method: str
    few_shot: float
    ordinary: float
    left_out: float | None
    bounds: tuple[float, float] | None


class Comparison:
    """The images of a folder, with the features of all of them."""

    def __init__(self, folder: str, threads: int | None) -> None:
        summary = DatasetSummary(50, 0, 10, 5, 224, grey=False, resizable=True, largest=5)
        self.options = TrainOptions(budget=HOUR, threads=threads)
        self.choice: NetworkChoice = networks.choose_network(summary, self.options)
        self.data: Dataset = load(folder, self.choice.preprocessing)
        whole = FewShotTrainer(self._few_plan(self.data), self.data, threads=threads)
        self.train, self.test = (
            unit_features(whole.model, images, whole.values) for images in (self.data.train, self.data.require_test())
        )

    def draws(self, count: int, draws: int) -> Iterator[Draw]:
        """Yield the results of so many draws of `count` images of each class."""
        labels = self.data.train.targets.numbers
        for seed in range(draws):
            random = np.random.default_rng((count, seed))
            classes = (np.flatnonzero(labels == label) for label in range(len(self.data.classes)))
            yield self._draw(np.concatenate([random.choice(members, count, replace=False) for members in classes]))

    def _draw(self, rows: Numbers) -> Draw:
        test = self.data.require_test()
        fitted = fit(self.train[rows], self.data.train.targets.numbers[rows], len(self.data.classes))
        right = (self.test @ fitted.weights.T + fitted.bias).argmax(axis=1) == test.targets.numbers
        results = fitted.left_out
        accuracy = results.correct / len(results) if len(results) else None
        part = replace(self.data, train=self.data.train.take(rows), validation=None, receipt=None, content="")
        return Draw(
            fitted.method, float(right.mean()), self._ordinary(part), accuracy, results.interval if accuracy else None
        )

    def _ordinary(self, data: Dataset) -> float:
        plan = autoconfig.choose(replace(self.choice, few_shot=False), data, replace(self.options, search=False)).plan
        trainer = Trainer(plan, data, threads=self.options.threads)
        list(trainer)
        return float(trainer.model.evaluate(data.require_test()).accuracy)

    def _few_plan(self, data: Dataset) -> Any:
        return autoconfig.choose(self.choice, data, self.options).plan


def row(count: int, draws: Sequence[Draw]) -> list[str]:
    """Return a row of the table."""
    inside = [d.bounds[0] <= d.few_shot <= d.bounds[1] for d in draws if d.bounds]
    estimates = [draw.left_out for draw in draws if draw.left_out is not None]
    wins = sum(draw.few_shot > draw.ordinary for draw in draws)
    return [
        str(count), _share([draw.few_shot for draw in draws]), _share([draw.ordinary for draw in draws]),
        f"{wins} of {len(draws)}", _share(estimates) if estimates else "not possible",
        f"{sum(inside)} of {len(inside)}" if inside else "",
    ]  # fmt: skip


def _share(values: Sequence[float]) -> str:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{100 * float(np.mean(values)):.1f} ± {100 * deviation:.1f}%"


def main() -> None:
    """Measure, and print a table."""
    options = parser(__doc__ or "")
    options.add_argument("folder")
    options.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5])
    options.add_argument("--draws", type=int, default=10)
    options.add_argument("--threads", type=int)
    args = options.parse_args()
    record, comparison = begin(args), Comparison(args.folder, args.threads)
    rows, details = [], {}
    for count in args.counts:
        draws = []
        for draw in comparison.draws(count, args.draws):
            print(count, draw, flush=True)
            draws.append(draw)
        rows.append(row(count, draws))
        details[str(count)] = [vars(draw) for draw in draws]
    finish(args, record | print_table(COLUMNS, rows) | {"draws": details})


if __name__ == "__main__":
    main()
