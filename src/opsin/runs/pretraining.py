"""Learning from the images in a folder `unlabelled` before a training on classes that lie next to it.

The images of the training split are learned from as well, without their labels; those of other splits are not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from opsin.backends.native import compile as compile_native
from opsin.base.formatting import duration
from opsin.data import AnnotatedImages, Dataset, Samples, load
from opsin.data.items import Source
from opsin.data.load import load_opened
from opsin.data.pixels import concatenate
from opsin.data.sources.detect import UNLABELLED_FOLDERS
from opsin.data.sources.folder import image_files
from opsin.model import Engine
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, NetworkChoice, TrainOptions
from opsin.runs.resume import configuration
from opsin.runs.run import Run
from opsin.tasks.registry import SELF_SUPERVISED, find_task
from opsin.tasks.self_supervised.reader import MIN_IMAGES
from opsin.tasks.self_supervised.targets import Unlabelled
from opsin.training.trainer import Trainer

SHARE = 0.5
"""The share of the time that is spent without labels."""

TRAINING_SPLIT = "the training split"
"""The name of the folder of images that have labels, which are not used."""


@dataclass(frozen=True, eq=False)
class Pretraining:
    """A training without labels on `data`: its plan, and the images of the folder that it is mostly about."""

    data: Dataset
    plan: AutoPlan

    def run(self, folder: Path | None, threads: int | None, engine: Engine = compile_native) -> Trainer:
        """Return the trainer, with a run in `folder` or in a new one."""
        trainer = Trainer(self.plan.plan, self.data, deadline=self.plan.deadline, threads=threads, engine=engine)
        config = configuration(self.plan.plan, self.data, "", None) | {"reasons": list(self.plan.reasons)}
        trainer.run = Run.create(config, self.data.name, folder)
        return trainer


def unlabelled_folder(source: str | os.PathLike[str]) -> Path | None:
    """Return the folder of images without labels in a folder of classes; None if it has none, or too few images."""
    for name in UNLABELLED_FOLDERS:
        folder = Path(source) / name
        if folder.is_dir() and len(image_files(folder)) >= MIN_IMAGES:
            return folder
    return None


def reason_against(choice: NetworkChoice, options: TrainOptions) -> str | None:
    """Return why images without labels are not used for a choice; None if they are."""
    if options.weights is not None:
        return "the training begins with the weights that were given"
    if choice.pretrained:
        return (
            "the published weights have learned from more photos than these; with --from-scratch, features are "
            "learned from the folder instead"
        )
    return None if not choice.summary.has_defaults else "only a training on classes of images learns from it by itself"


def plan_pretraining(
    folder: Path, opened: Source | Dataset, source: str, options: TrainOptions, elapsed_seconds: float
) -> Pretraining:
    """Return the training without labels on `folder` and on the training images of what was opened at `source`."""
    labelled, task = DatasetSummary.of(opened), find_task(SELF_SUPERVISED)
    count = len(image_files(folder))
    summary = replace(labelled, images=labelled.images + count, task=task, settings={})
    budget = SHARE * (options.seconds - elapsed_seconds) if options.epochs is None or options.budget else None
    unlabelled_options = TrainOptions(
        network=options.network, size=options.size, epochs=options.epochs, budget=budget, memory=options.memory,
        threads=options.threads, seed=options.seed, precision=options.planned_precision,
    )  # fmt: skip
    choice = networks.choose_network(summary, unlabelled_options)
    labelled_images = load_opened(opened, source, size=choice.size).train
    data = _combined(load(folder, size=choice.size, task=SELF_SUPERVISED), labelled_images)
    plan = autoconfig.choose(choice, data, unlabelled_options)
    time = f"{SHARE:.0%} of the time, {duration(budget)}" if budget else f"{options.epochs} epochs"
    about = (
        f"features are learned first, without labels, from {count:,} images in {folder.name}/ and the "
        f"{len(labelled_images):,} of the training split: {time}"
    )
    return Pretraining(data, replace(plan, reasons=(about, *plan.reasons)))


def _combined(unlabelled: Dataset, labelled: Samples) -> Dataset:
    """Return a dataset of images without labels and the images of a training split; some of the former validate."""
    names = (*unlabelled.train.targets.names, TRAINING_SPLIT)
    others = [part for part in (unlabelled.train, unlabelled.test) if part is not None]
    folders = [*(part.targets.folders for part in others), np.full(len(labelled), len(names) - 1, np.int32)]
    pixels = concatenate([*(part.pixels for part in others), labelled.pixels])
    train = AnnotatedImages(pixels, Unlabelled(np.concatenate(folders), names), unlabelled.task)
    return Dataset(unlabelled.name, train, None, False, unlabelled.validation)


def with_features(options: TrainOptions, model: Path) -> TrainOptions:
    """Return the options of the training on labels, which begins with the features of a model."""
    return replace(options, weights=str(model), pretrained=None)
