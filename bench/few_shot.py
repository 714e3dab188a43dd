"""One to five images of each class: prototypes on published features, against ordinary training on the same images.

    python bench/few_shot.py FOLDER [--counts 1 2 5] [--draws 10] [--ordinary 10] [--features FILE] [--json FILE]

FOLDER has class folders in train/ and test/. Each draw takes so many training images of each class at random.
"Few-shot" is what `opsin train` does with them; "ordinary training" is the plan of `opsin train --no-search` on the
same images: the last layer is trained by gradient descent on features of several views. Both begin with the published
weights of EfficientNet-Lite0. The first `--ordinary` draws are trained on as usual, too. Accuracies are those on all
test images, the mean over the draws with its standard deviation. "Left out" is the mean of what the model says of
itself: images that are left out in turn. "Within the bounds" counts the draws whose test accuracy lies in the 95
percent interval that was given. With `--features`, the features are kept in a file for the next run.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

from opsin.data import load
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.training import Trainer
from opsin.training.few_shot import fit
from opsin.training.few_shot_trainer import FewShotTrainer, unit_features

HOUR = 3600.0

COLUMNS = (
    "images of each class", "few-shot", "few-shot, the same draws", "ordinary training", "few-shot is better",
    "left out", "within the bounds",
)  # fmt: skip

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Draw:
    """The result on some images of each class: test accuracies, and the leave-one-out estimate with its bounds."""

    rows: Numbers
    method: str
    few_shot: float
    left_out: float | None
    bounds: tuple[float, float] | None
    ordinary: float | None = None


class Comparison:
    """The images of a folder, with the features of those that are drawn and of the test images."""

    def __init__(self, folder: str, counts: Sequence[int], draws: int, threads: int | None, file: str | None) -> None:
        summary = DatasetSummary(50, 0, 10, 5, 224, grey=False, resizable=True, largest=5)
        self.options = TrainOptions(budget=HOUR, threads=threads)
        self.choice = networks.choose_network(summary, self.options)
        self.data = load(folder, self.choice.preprocessing)
        plan = autoconfig.choose(self.choice, self.data, self.options).plan
        whole = FewShotTrainer(plan, self.data, threads=threads)
        self.rows = {(count, seed): self._rows(count, seed) for count in counts for seed in range(draws)}
        self.images = np.unique(np.concatenate(list(self.rows.values())))
        stored: Any = np.load(file) if file and Path(file).exists() else {}
        if not np.array_equal(stored.get("images"), self.images):
            train, test = self.data.train.take(self.images), self.data.require_test()
            features = (unit_features(whole.model, images, whole.values) for images in (train, test))
            stored = {"images": self.images, **dict(zip(("train", "test"), features, strict=True))}
            if file:
                np.savez(file, **stored)
        self.train, self.test = stored["train"], stored["test"]

    def _rows(self, count: int, seed: int) -> Numbers:
        """Return the numbers of `count` random images of each class."""
        labels, random = self.data.train.targets.numbers, np.random.default_rng((count, seed))
        classes = (np.flatnonzero(labels == label) for label in range(len(self.data.classes)))
        return np.concatenate([random.choice(members, count, replace=False) for members in classes])

    def draw(self, count: int, seed: int) -> Draw:
        """Return the result of few-shot classification on `count` random images of each class."""
        rows, labels = self.rows[count, seed], self.data.train.targets.numbers
        vectors = self.train[np.searchsorted(self.images, rows)]
        fitted = fit(vectors, labels[rows], len(self.data.classes))
        answers = (self.test @ fitted.weights.T + fitted.bias).argmax(axis=1)
        accuracy = float((answers == self.data.require_test().targets.numbers).mean())
        results = fitted.left_out
        if not len(results):
            return Draw(rows, fitted.method, accuracy, None, None)
        return Draw(rows, fitted.method, accuracy, results.correct / len(results), results.interval)

    def with_ordinary(self, draw: Draw) -> Draw:
        """Return the draw with the test accuracy of ordinary training on the same images."""
        images = self.data.train.take(draw.rows)
        data = replace(self.data, train=images, validation=None, receipt=None, content="")
        plan = autoconfig.choose(replace(self.choice, few_shot=False), data, replace(self.options, search=False)).plan
        trainer = Trainer(plan, data, threads=self.options.threads)
        list(trainer)
        return replace(draw, ordinary=float(trainer.model.evaluate(data.require_test()).accuracy))


def row(count: int, draws: Sequence[Draw]) -> list[str]:
    """Return a row of the table."""
    inside = [draw.bounds[0] <= draw.few_shot <= draw.bounds[1] for draw in draws if draw.bounds]
    estimates = [draw.left_out for draw in draws if draw.left_out is not None]
    both = [draw for draw in draws if draw.ordinary is not None]
    wins = sum(draw.few_shot > (draw.ordinary or 0.0) for draw in both)
    return [
        str(count), _share([draw.few_shot for draw in draws]), _share([draw.few_shot for draw in both]),
        _share([draw.ordinary for draw in both if draw.ordinary is not None]), f"{wins} of {len(both)}",
        _share(estimates), f"{sum(inside)} of {len(inside)}" if inside else "–",
    ]  # fmt: skip


def _share(values: Sequence[float]) -> str:
    if not values:
        return "–"
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{100 * float(np.mean(values)):.1f} ± {100 * deviation:.1f}%"


def main() -> None:
    """Measure, and print a table."""
    options = parser(__doc__ or "")
    options.add_argument("folder")
    options.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5])
    options.add_argument("--draws", type=int, default=10)
    options.add_argument("--ordinary", type=int, default=10, help="draws that are also trained on as usual")
    options.add_argument("--threads", type=int)
    options.add_argument("--features", help="a file for the features")
    args = options.parse_args()
    record, comparison = begin(args), Comparison(args.folder, args.counts, args.draws, args.threads, args.features)
    draws = {count: [comparison.draw(count, seed) for seed in range(args.draws)] for count in args.counts}
    save(args, record, draws)
    for seed in range(min(args.ordinary, args.draws)):
        for count in args.counts:
            draws[count][seed] = comparison.with_ordinary(draws[count][seed])
            save(args, record, draws)


def save(args: Namespace, record: dict[str, Any], draws: Mapping[int, Sequence[Draw]]) -> None:
    """Print the table so far, and write the record."""
    table = print_table(COLUMNS, [row(count, draws[count]) for count in draws])
    details = {str(count): [{**vars(draw), "rows": draw.rows.tolist()} for draw in draws[count]] for count in draws}
    finish(args, record | table | {"draws": details})


if __name__ == "__main__":
    main()
