"""Cross-validation of `opsin train` on data of any kind: each fold is tested with a model of the others.

    python bench/folds.py DATA [--folds 10] [--groups REGEX] [--budget 5min] [--network NAME] [--only 1 2] [--json FILE]

The folds are made at random from the names of the samples, the same each time. With `--groups`, the first group of the
regular expression in a sample's name is its group (a speaker, a source of clips), and all samples of a group are in the
same fold; as many folds as groups unless `--folds` says otherwise. `--groups table` takes those of the data's own
table. Of each training part, Opsin holds out a tenth to
choose the epoch. `--budget` is the time of a fold, from reading to the trained model.
"""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace
from statistics import mean, stdev
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin.base import random_counter
from opsin.base.units import parse_seconds
from opsin.data import Dataset
from opsin.data.items import TEST, TRAIN, Source
from opsin.data.load import load_opened
from opsin.data.sources.detect import open_source
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.report.statistics import Share
from opsin.training import Finished, Trainer

FOLD_ORDER = 108
"""Purpose of the random numbers that make folds (see `opsin.base.random_counter`)."""


class Fold:
    """A source whose items are for testing if they belong to one fold, and for training otherwise."""

    def __init__(self, source: Source, folds: list[int], fold: int) -> None:
        splits = [TEST if each == fold else TRAIN for each in folds]
        self.items = [replace(item, split=split) for item, split in zip(source.items, splits, strict=True)]
        self.name, self.problems, self.kind = source.name, source.problems, getattr(source, "kind", "")
        self.read, self.stamp = source.read, source.stamp


def fold_numbers(source: Source, options: Namespace) -> tuple[list[int], list[str]]:
    """Return the fold of each item, from 0, and the names of the folds."""
    names = [item.name for item in source.items]
    if options.groups:
        groups = [item.group for item in source.items]
        if options.groups != "table":
            groups = [re.search(options.groups, name)[1] for name in names]  # type: ignore[index]
        distinct = sorted({*groups})
        count = options.folds or len(distinct)
        order = np.argsort(random_counter.order(len(distinct), options.seed, FOLD_ORDER))
        number = {group: int(order[place]) % count for place, group in enumerate(distinct)}
        parts = [[group for group in distinct if number[group] == fold] for fold in range(count)]
        titles = [part[0] if len(part) == 1 else f"{fold} ({len(part)} groups)" for fold, part in enumerate(parts, 1)]
        return [number[group] for group in groups], titles
    count = options.folds or 10
    ranks = np.argsort(random_counter.order(len(names), options.seed, FOLD_ORDER))
    return [int(rank) % count for rank in ranks], [f"{fold + 1}" for fold in range(count)]


def train(opened: Source, options: Namespace) -> tuple[Any, float, float]:
    """Train on a fold, and return the test score, seconds and seconds of processor time."""
    started, used = perf_counter(), process_time()
    requested = TrainOptions(
        budget=parse_seconds(options.budget), network=options.network, seed=options.seed, threads=options.threads,
        epochs=options.epochs, input_options=options.input_options,
    )  # fmt: skip
    choice = networks.choose_network(DatasetSummary.of(opened), requested)
    data: Dataset = load_opened(opened, options.data, input_options=choice.input_options)
    plan = autoconfig.choose(choice, data, requested, perf_counter() - started)
    trainer = Trainer(plan.plan, data, deadline=plan.deadline, threads=options.threads)
    for event in trainer:
        if isinstance(event, Finished):
            break
    return trainer.model.evaluate(data.require_test()).score, perf_counter() - started, process_time() - used


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("data")
    options.add_argument("--folds", type=int)
    options.add_argument("--groups")
    options.add_argument("--only", type=int, nargs="+", help="these folds, from 1")
    options.add_argument("--budget", default="5min")
    options.add_argument("--epochs", type=int)
    options.add_argument("--network")
    options.add_argument("--input-options", help="how samples are read, such as frames=1")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int)
    arguments = options.parse_args()
    record, source = begin(arguments), open_source(arguments.data)
    folds, titles = fold_numbers(source, arguments)  # type: ignore[arg-type]
    rows, accuracies, correct, total = [], [], 0, 0
    for fold in range(len(titles)):
        if arguments.only and fold + 1 not in arguments.only:
            continue
        score, seconds, cpu = train(Fold(source, folds, fold), arguments)  # type: ignore[arg-type]
        accuracy = score.metrics["accuracy"]
        accuracies.append(accuracy)
        correct, total = correct + round(accuracy * score.images), total + score.images
        rows.append((titles[fold], f"{score.images:,}", f"{accuracy:.1%}", f"{seconds:.0f} s", f"{cpu:.0f} s"))
        print(*rows[-1], flush=True)
    bounds = Share(correct, total)
    spread = f"± {stdev(accuracies) / len(accuracies) ** 0.5:.1%}" if len(accuracies) > 1 else ""
    rows.append(("mean", f"{total:,}", f"{mean(accuracies):.1%} {spread}", "", ""))
    print(f"95% of all samples together: {bounds.low:.1%} to {bounds.high:.1%}")
    table = print_table(("fold", "samples", "accuracy", "time", "processor"), rows)
    finish(arguments, record | {"accuracies": accuracies, "bounds": [bounds.low, bounds.high]} | table)


if __name__ == "__main__":
    main()
