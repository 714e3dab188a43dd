"""Features learned without labels on CIFAR-10: a linear probe, and training on 1% and on 10% of the labels.

    python bench/self_supervised.py pretrain DATA --out FOLDER [--loss NAME] [--network NAME] [--epochs N] [--size S] …
    python bench/self_supervised.py finetune DATA --out FOLDER [--shares 0.01 0.1] [--threads N] [--json FILE]

DATA is a folder or an archive with train/CLASS and test/CLASS. `pretrain` learns from all training images without their
labels, saves FOLDER/model.opsin, fits a linear classifier to the features of all training images, and measures it on
the test split (FOLDER/probe.json). An interrupted run continues from FOLDER/run. After each epoch, 2,000 of the
training images are compared to show progress; nothing is selected by them. The clock begins when the images are in
memory, and counts these measurements.

`finetune` takes a share of the labels, the same number from each class, and trains the network on them twice: from the
model's weights, and from scratch by Opsin's recipe. The rates and the epochs of both are in the record.

With `--minutes`, the number of epochs is reduced to what that much time allows: the time of the processor, divided by
the number of threads, so that other programs do not count.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.base import random_counter
from opsin.base.processors import processors
from opsin.data import Dataset, Samples
from opsin.model import Model
from opsin.report.logistic import choose_penalty, fit
from opsin.report.statistics import Share
from opsin.runs.resume import configuration
from opsin.runs.run import Run
from opsin.training import Epoch, Finished, Stage, Trainer, TrainingPlan

WATCHED = 25
"""One of so many training images is compared after each epoch."""

SUBSET_ORDER = 107
"""Purpose of the random numbers that choose labelled images (see `opsin.base.random_counter`)."""


def unlabelled(path: str) -> Dataset:
    """Return all training images, some of them again as the ones that are watched, and the test images."""
    data = opsin.data.load(path, task="self-supervised")
    parts = [data.train, *([data.validation] if data.validation else [])]
    pixels = np.concatenate([np.asarray(part.pixels[:]) for part in parts])
    targets = type(data.train.targets).concatenate([part.targets for part in parts])
    train = data.train.changed(pixels, targets, None)
    return Dataset(data.name, train, data.require_test(), True, train.take(np.arange(0, len(train), WATCHED)))


def plan_of(options: Namespace) -> TrainingPlan:
    """Return the plan of the options."""
    stage = Stage(
        epochs=options.epochs, batch=options.batch, learning_rate=options.learning_rate, size=options.size,
        augment="strong", warmup_fraction=options.warmup,
    )  # fmt: skip
    return TrainingPlan(
        network=options.network, stages=(stage,), loss=options.loss, weight_decay=options.weight_decay,
        optimizer=options.optimizer, precision=options.precision, seed=options.seed,
    )  # fmt: skip


def pretrain(options: Namespace) -> None:
    """Train, or continue, and measure a linear probe."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    record, data, plan = begin(options), unlabelled(options.data), plan_of(options)
    print(f"{len(data.train):,} images to learn from, {len(data.require_test()):,} to test with", flush=True)
    started, used, threads = perf_counter(), process_time(), options.threads or processors()
    folder, limit = out / "run", None if options.minutes is None else 60 * options.minutes
    run = Run.reopen(folder) if folder.exists() else None
    trainer = Trainer(plan, data, run=run, threads=threads, deadline=limit, clock=lambda: process_time() / threads)
    if run is None:
        trainer.run = Run.create(configuration(plan, data, "", None), data.name, folder)
    epochs, ended = [], False
    for event in trainer:
        if isinstance(event, Epoch):
            minutes = (perf_counter() - started) / 60
            epochs.append([event.epoch, minutes, event.loss, dict(event.held_out.metrics)])
            print(
                f"epoch {event.epoch}: {minutes:.1f} min, loss {event.loss:.4f}, {event.held_out.metrics}", flush=True
            )
        ended = isinstance(event, Finished)
    if not ended:
        raise SystemExit("interrupted; the same command continues")
    seconds, cpu = perf_counter() - started, process_time() - used
    trainer.model.save(out / "model.opsin")
    accuracy, penalty = probe(trainer.model, data)
    share = Share(round(accuracy * len(data.require_test())), len(data.require_test()))
    row = (
        plan.network, plan.loss or "", f"{len(epochs)}", f"{seconds / 60:.1f} min", f"{accuracy:.1%}",
        f"{share.low:.1%} to {share.high:.1%}",
    )  # fmt: skip
    table = print_table(("network", "loss", "epochs", "pretraining", "linear probe", "95%"), [row])
    record |= {"plan": plan.to_data(), "epochs": epochs, "seconds": seconds, "cpu_seconds": cpu, "penalty": penalty}
    options.json = options.json or str(out / "probe.json")
    finish(options, record | {"accuracy": accuracy} | table)


def probe(model: Model, data: Dataset) -> tuple[float, float]:
    """Return the accuracy of a linear classifier on the test images, fitted to all training images, and its penalty."""
    features, labels = features_of(model, data.train)
    tested, expected = features_of(model, data.require_test())
    classes = len(data.train.targets.names)
    penalty = choose_penalty(features, labels, classes)
    head = fit(features, labels, classes, penalty)
    return float((head.logits(tested).argmax(axis=1) == expected).mean()), penalty


def features_of(model: Model, images: Samples) -> tuple[Any, Any]:
    """Return features, float32 N × F, and the classes of images."""
    return model.outputs(images.pixels)["features"], images.targets.folders


def subset(labels: Any, share: float) -> Any:
    """Return the numbers of a share of the images of each class, chosen by a fixed order."""
    order = random_counter.order(len(labels), 0, SUBSET_ORDER)
    count = round(share * len(labels) / len(np.unique(labels)))
    return np.sort(np.concatenate([order[labels[order] == label][:count] for label in np.unique(labels)]))


def main() -> None:
    options = parser(__doc__ or "")
    commands = options.add_subparsers(dest="command", required=True)
    first = commands.add_parser("pretrain")
    first.add_argument("data")
    first.add_argument("--out", required=True)
    first.add_argument("--loss", default="simclr")
    first.add_argument("--network", default="resnet9_half")
    first.add_argument("--epochs", type=int, default=40)
    first.add_argument("--batch", type=int, default=256)
    first.add_argument("--learning-rate", type=float, default=0.002)
    first.add_argument("--weight-decay", type=float, default=1e-4)
    first.add_argument("--warmup", type=float, default=0.15)
    first.add_argument("--optimizer", default="adamw")
    first.add_argument("--size", type=int)
    first.add_argument("--minutes", type=float)
    first.add_argument("--precision", default="float32")
    first.add_argument("--seed", type=int, default=0)
    first.add_argument("--threads", type=int)
    pretrain(options.parse_args())


if __name__ == "__main__":
    main()
