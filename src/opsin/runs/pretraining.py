"""Learning from the images in a folder `unlabelled` before a training on classes that lie next to it.

The images of the training split are learned from as well, without their labels; those of other splits are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from opsin.backends.native import compile as compile_native
from opsin.base.formatting import duration
from opsin.data import Dataset
from opsin.data.items import Source
from opsin.data.load import load_opened
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.detect import ANY_TASK, TaskRequest
from opsin.model import Engine
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, NetworkChoice, TrainOptions
from opsin.runs.resume import configuration
from opsin.runs.run import Run
from opsin.runs.unlabelled_data import UNLABELLED, load_both
from opsin.tasks.registry import SELF_SUPERVISED, find_task
from opsin.training.trainer import Trainer

SHARE = 0.5
"""The share of the time that is spent without labels."""


@dataclass(frozen=True, eq=False)
class Pretraining:
    """A training without labels on `data`, which was read from `source`, and its plan."""

    data: Dataset
    plan: AutoPlan
    source: str

    def run(
        self, folder: Path | None, threads: int | None, request: TaskRequest = ANY_TASK, engine: Engine = compile_native
    ) -> Trainer:
        """Return the trainer, with a run in `folder` or in a new one. The data was opened as `request` says."""
        plan = self.plan
        trainer = Trainer(plan.plan, self.data, deadline=plan.deadline, threads=threads, engine=engine)
        config = configuration(plan.plan, self.data, self.source, None)
        config["data"][UNLABELLED] = {"task": request.task, "columns": list(request.columns)}
        config |= {"reasons": list(plan.reasons), "deadline": plan.deadline}
        trainer.run = Run.create(config, self.data.name, folder)
        return trainer


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
    unlabelled: AnnotatedSource, opened: Source | Dataset, source: str, options: TrainOptions, elapsed_seconds: float
) -> Pretraining:
    """Return the training on images without labels and on the training images of what was opened at `source`."""
    labelled, task = DatasetSummary.of(opened), find_task(SELF_SUPERVISED)
    count = len(unlabelled.items)
    summary = replace(labelled, images=labelled.images + count, task=task, settings={})
    budget = SHARE * (options.seconds - elapsed_seconds) if options.epochs is None or options.budget else None
    unlabelled_options = TrainOptions(
        network=options.network, size=options.size, epochs=options.epochs, budget=budget, memory=options.memory,
        threads=options.threads, seed=options.seed, precision=options.planned_precision,
    )  # fmt: skip
    choice = networks.choose_network(summary, unlabelled_options)
    labelled_images = load_opened(opened, source, size=choice.size).train
    data = load_both(unlabelled, labelled_images, source, choice.size)
    plan = autoconfig.choose(choice, data, unlabelled_options)
    time = f"{SHARE:.0%} of the time, {duration(budget)}" if budget else f"{options.epochs} epochs"
    about = (
        f"features are learned first, without labels, from {count:,} images in {unlabelled.name}/ and the "
        f"{len(labelled_images):,} of the training split: {time}"
    )
    return Pretraining(data, replace(plan, reasons=(about, *plan.reasons)), source)


def with_features(options: TrainOptions, model: Path) -> TrainOptions:
    """Return the options of the training on labels, which begins with the features of a model."""
    return replace(options, weights=str(model), pretrained=None)
