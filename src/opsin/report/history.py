"""The training history in a model file, epoch by epoch, and what its curves say: a diagnosis as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import sqrt
from typing import Any

from opsin.report.statistics import Share
from opsin.tasks.score import ACCURACY

LOSS_RISE = 1.1
"""The held-out loss has risen if it ends at this many times its minimum, or more."""

ACCURACY_GAP = 0.08
"""A larger difference between training and held-out accuracy is a sign of overfitting."""

LOSS_FALL = 0.03
"""The held-out loss was still falling if the last fifth of the epochs reduced it by this share."""


METRIC_FALL, METRIC_RISE = 0.03, 0.01
"""The main metric of another task fell if it ends at this much less than its best, and was still rising if the last
fifth of the epochs added this much."""

MIN_EPOCHS = 8
"""In fewer epochs, such a metric is too unsteady to show overfitting."""


@dataclass(frozen=True)
class EpochRecord:
    """An epoch: the mean loss of its steps, and then the main `metric` of the task on the held-out images, 0 to 1.

    `accuracy` is that of a classifier during training, 0 to 1; None for other tasks. Their `held_out_loss` need not be
    the quantity that training minimizes.
    """

    stage: str
    loss: float
    accuracy: float | None
    held_out_value: float
    held_out_loss: float | None = None
    metric: str = ACCURACY

    def to_data(self) -> dict[str, Any]:
        """Return the epoch for JSON, with the keys of a training record."""
        accuracy = {} if self.accuracy is None else {"accuracy": self.accuracy}
        return {
            "stage": self.stage, "loss": self.loss, **accuracy, f"held_out_{self.metric}": self.held_out_value,
            "held_out_loss": self.held_out_loss,
        }  # fmt: skip


class Fit(Enum):
    """The fit of a model, as shown by the curves of its training run."""

    OVERFITTING = "the result on held-out images became worse while the training loss fell"
    GAP = "training images are classified much better than held-out ones"
    UNCERTAIN_GAP = "there is a gap, but too few held-out images to be sure"
    STILL_IMPROVING = "the result on held-out images was still improving at the end"
    UNDERFITTING = "augmented training images are classified worse than held-out ones"
    GOOD = "none of these"


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of the last stage by its curves.

    `epochs` are its epochs; `since` is the index of the one with the best result on held-out images (`OVERFITTING`) or
    of the first since which it has improved (`STILL_IMPROVING`), otherwise of the last one.
    """

    fit: Fit
    epochs: tuple[EpochRecord, ...]
    since: int

    @property
    def last(self) -> EpochRecord:
        return self.epochs[-1]


def epoch_records(record: Mapping[str, Any], metric: str = ACCURACY) -> tuple[EpochRecord, ...]:
    """Return the epochs in a model's training record with this main metric; none if it has none in this form."""
    try:
        return tuple(
            EpochRecord(
                str(each.get("stage", "training")),
                float(each["loss"]),
                float(each["accuracy"]) if metric == ACCURACY else None,
                float(each[f"held_out_{metric}"]),
                None if each.get("held_out_loss") is None else float(each["held_out_loss"]),
                metric,
            )
            for each in record.get("history", ())
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def diagnose(history: Sequence[EpochRecord], held_out_images: int | None = None) -> Diagnosis | None:
    """Diagnose the last stage, or all stages if the last one has a single epoch; None for fewer than two epochs.

    If `held_out_images` is known, a difference that so few images cannot prove is uncertain, or no sign of anything.
    """
    stage = [epoch for epoch in history if epoch.stage == history[-1].stage] if history else []
    epochs = tuple(stage if len(stage) > 1 else history)
    if len(epochs) < 2:
        return None
    if epochs[-1].accuracy is None:
        return _diagnose_metric(epochs, held_out_images)
    return _diagnose_classifier(epochs, epochs[-1].accuracy, held_out_images)


def _diagnose_metric(epochs: tuple[EpochRecord, ...], held_out_images: int | None) -> Diagnosis:
    """Compare the metric on held-out images with the training loss.

    Means of a fifth of the epochs are compared, as single epochs may be lucky. The mean of n values between 0 and 1
    has a standard error of at most 0.5 / √n; smaller differences show nothing.
    """
    end, window = len(epochs) - 1, max(1, len(epochs) // 5)
    values = [epoch.held_out_value for epoch in epochs]
    means = [sum(values[first : first + window]) / window for first in range(len(values) - window + 1)]
    best = max(range(len(means)), key=means.__getitem__)
    chance = 0.5 / sqrt(held_out_images) if held_out_images else 0.0
    is_falling = means[best] - means[-1] > max(METRIC_FALL, chance)
    if len(epochs) >= MIN_EPOCHS and is_falling and epochs[-1].loss < epochs[best].loss:
        return Diagnosis(Fit.OVERFITTING, epochs, max(range(len(values)), key=values.__getitem__))
    since = end - window
    if len(epochs) > 4 and values[-1] - values[since] > METRIC_RISE:
        return Diagnosis(Fit.STILL_IMPROVING, epochs, since)
    return Diagnosis(Fit.GOOD, epochs, end)


def _diagnose_classifier(epochs: tuple[EpochRecord, ...], accuracy: float, held_out_images: int | None) -> Diagnosis:
    """Compare loss and accuracy on held-out images with those in training, `accuracy` in the last epoch."""
    last, end = epochs[-1], len(epochs) - 1
    losses = [epoch.held_out_loss for epoch in epochs if epoch.held_out_loss is not None]
    has_losses = len(losses) == len(epochs)
    if has_losses:
        best_epoch = min(range(len(losses)), key=losses.__getitem__)
        if losses[-1] > LOSS_RISE * losses[best_epoch] and last.loss < epochs[best_epoch].loss:
            return Diagnosis(Fit.OVERFITTING, epochs, best_epoch)
    if accuracy - last.held_out_value > ACCURACY_GAP:
        is_uncertain = held_out_images and _held_out_bound(last, held_out_images) >= accuracy - ACCURACY_GAP
        return Diagnosis(Fit.UNCERTAIN_GAP if is_uncertain else Fit.GAP, epochs, end)
    since = end - max(1, len(epochs) // 5)
    if has_losses and len(epochs) > 4 and losses[-1] < (1 - LOSS_FALL) * losses[since]:
        return Diagnosis(Fit.STILL_IMPROVING, epochs, since)
    if accuracy < last.held_out_value - ACCURACY_GAP:
        return Diagnosis(Fit.UNDERFITTING, epochs, end)
    return Diagnosis(Fit.GOOD, epochs, end)


def _held_out_bound(epoch: EpochRecord, images: int) -> float:
    """Return the upper bound of the held-out accuracy."""
    return Share(round(epoch.held_out_value * images), images).high
