"""Features learned without labels on CIFAR-10: the losses compared, a linear probe, training on 1% and 10% of labels.

    python bench/self_supervised.py pretrain DATA --out FOLDER [--loss NAME] [--network NAME] [--epochs N] [--size S] …
    python bench/self_supervised.py finetune DATA --out FOLDER [--shares 0.01 0.1] [--budget 10min] [--epochs N] …
    python bench/self_supervised.py compare DATA --out FOLDER [--steps 100] [--threads N]

DATA is a folder or an archive with train/CLASS and test/CLASS. `pretrain` learns from all training images without their
labels, saves FOLDER/model.opsin, fits a linear classifier to the features of all training images, and measures it on
the test split (FOLDER/probe.json). An interrupted run continues from FOLDER/run. After each epoch, 2,000 of the
training images are compared to show progress; nothing is selected by them. The clock begins when the images are in
memory, and counts these measurements. With `--minutes`, the number of epochs is reduced to what that much time allows:
the time of the processor, divided by the number of threads, so that other programs do not count.

`finetune` takes a share of the labels, the same number from each class, and calls `opsin.autotrain` on them twice: with
the weights of FOLDER/model.opsin, and from scratch with the same network. Each has the same budget, or the same number
of epochs, which makes the result independent of other programs, and is measured on all test images
(FOLDER/finetune.json). The result of each training is kept in FOLDER; a further call reads it. `compare` trains so many
steps with each loss, all from the same first weights, and measures features on 2,000 test images (FOLDER/compare.json).
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image

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

BEGINNINGS = ("scratch", "features")
"""How the training of a classifier begins."""

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


def finetune(options: Namespace) -> None:
    """Train on shares of the labels, from the features and from scratch."""
    out = Path(options.out)
    record, data, rows, results = begin(options), unlabelled(options.data), [], {}
    for share in options.shares:
        chosen = subset(data.train.targets.folders, share)
        with TemporaryDirectory() as folder:
            for split, images in (("train", data.train.take(chosen)), ("test", data.require_test())):
                write_images(images, Path(folder) / split)
            found = {
                name: accuracy_on_test(Path(folder), out / f"{name}-{share}.json", options, **begins)
                for name, begins in {
                    "scratch": {"network": options.network},
                    "features": {"weights": out / "model.opsin"},
                }.items()
                if name in options.begin
            }
        results[str(share)] = found
        if len(found) < len(BEGINNINGS):
            continue
        scratch, features = (found[name]["accuracy"] for name in BEGINNINGS)
        epochs = " and ".join(dict.fromkeys(str(found[name]["epochs"]) for name in BEGINNINGS))
        rows.append(
            (f"{share:.0%}", f"{len(chosen):,}", epochs, f"{scratch:.1%}", f"{features:.1%}",
             f"{100 * (features - scratch):+.1f}")
        )  # fmt: skip
    table = print_table(("labels", "images", "epochs", "from scratch", "from features", "points"), rows)
    options.json = options.json or str(out / "finetune.json")
    probed = json.loads((out / "probe.json").read_text()) if (out / "probe.json").exists() else {}
    facts = ("plan", "seconds", "cpu_seconds", "accuracy")
    pretraining = {name: probed[name] for name in facts if name in probed}
    finish(options, record | {"results": results, "pretraining": pretraining} | table)


def accuracy_on_test(folder: Path, result: Path, options: Namespace, **begins: Any) -> dict[str, Any]:
    """Return the test accuracy, the epochs and the plan of a classifier that Opsin plans and trains.

    They are written to the file `result`, and read from it if it exists, so that no training is lost.
    """
    if not result.exists():
        budget = options.budget if options.epochs is None else None
        model = opsin.autotrain(
            folder, budget=budget, epochs=options.epochs, precision=options.precision, threads=options.threads,
            seed=options.seed, **begins,
        )  # fmt: skip
        plan = model.record["plan"]
        epochs = sum(stage["epochs"] for stage in plan["stages"])
        facts = {"accuracy": model.record["test"]["accuracy"], "epochs": epochs, "plan": plan}
        result.write_text(json.dumps(facts, default=str))
        print(f"{result.stem}: {model.record['test']}", flush=True)
    facts = json.loads(result.read_text())
    return dict(facts)


def write_images(images: Samples, folder: Path) -> None:
    """Write images as PNG files in folders of their classes."""
    names, labels = images.targets.names, images.targets.folders.tolist()
    for number, (pixels, label) in enumerate(zip(images.pixels[:], labels, strict=True)):
        target = folder / names[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(target / f"{number:05}.png")


def subset(labels: Any, share: float) -> Any:
    """Return the numbers of a share of the images of each class, chosen by a fixed order."""
    order = random_counter.order(len(labels), 0, SUBSET_ORDER)
    count = round(share * len(labels) / len(np.unique(labels)))
    return np.sort(np.concatenate([order[labels[order] == label][:count] for label in np.unique(labels)]))


def compare(options: Namespace) -> None:
    """Train a few steps with each loss."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    record, data, rows = begin(options), unlabelled(options.data), []
    tested = data.require_test().take(np.arange(0, len(data.require_test()), 5))
    data = replace(data, validation=None, test=tested)
    options.epochs = 1
    for loss in data.task.losses:
        options.loss = loss
        plan = plan_of(options)
        stage = replace(plan.stages[0], images=options.steps * options.batch)
        trainer, used = Trainer(replace(plan, stages=(stage,)), data, threads=options.threads), process_time()
        ended = next(event for event in trainer if isinstance(event, Epoch))
        metrics, seconds = ended.held_out.metrics, process_time() - used
        names = ("view_agreement", "knn_accuracy", "probe_accuracy")
        rows.append((loss, f"{seconds:.0f}", *(f"{metrics[name]:.1%}" for name in names)))
        print(rows[-1], flush=True)
    heads = ("loss", "seconds of processor", "view agreement", "k-NN", "linear probe")
    options.json = options.json or str(out / "compare.json")
    finish(options, record | print_table(heads, rows))


def add_recipe(command: ArgumentParser, size: int | None) -> None:
    """Add the options of a plan."""
    command.add_argument("--network", default="resnet9_half")
    command.add_argument("--batch", type=int, default=256)
    command.add_argument("--learning-rate", type=float, default=0.003)
    command.add_argument("--weight-decay", type=float, default=1e-4)
    command.add_argument("--warmup", type=float, default=0.15)
    command.add_argument("--optimizer", default="adamw")
    command.add_argument("--size", type=int, default=size)
    command.add_argument("--precision", default="float32")


def main() -> None:
    options = parser(__doc__ or "")
    commands = options.add_subparsers(dest="command", required=True)
    functions = {"pretrain": pretrain, "finetune": finetune, "compare": compare}
    first, second, third = (commands.add_parser(name) for name in functions)
    for command in (first, second, third):
        command.add_argument("data")
        command.add_argument("--out", required=True)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--threads", type=int)
    first.add_argument("--loss", default="simclr")
    first.add_argument("--epochs", type=int, default=40)
    first.add_argument("--minutes", type=float)
    add_recipe(first, None)
    second.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1])
    second.add_argument("--budget", default="10min")
    second.add_argument("--epochs", type=int)
    second.add_argument("--precision", default="float32")
    second.add_argument("--network", default="resnet9_half", help="the network that is trained from scratch")
    second.add_argument("--begin", nargs="+", choices=BEGINNINGS, default=BEGINNINGS, help="only these trainings")
    third.add_argument("--steps", type=int, default=100)
    add_recipe(third, 24)
    chosen = options.parse_args()
    functions[chosen.command](chosen)


if __name__ == "__main__":
    main()
