"""The training history in a model file, epoch by epoch, and what its curves say: a diagnosis as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from opsin.report.statistics import Share

LOSS_RISE = 1.1
"""The held-out loss has risen if it ends at this many times its minimum, or more."""

ACCURACY_GAP = 0.08
"""A larger difference between training and held-out accuracy is a sign of overfitting."""

LOSS_FALL = 0.03
"""The held-out loss was still falling if the last fifth of the epochs reduced it by this share."""


@dataclass(frozen=True)
class EpochRecord:
    """An epoch: mean loss (nats) and accuracy (0 to 1) during training, and then on the held-out images."""

    stage: str
    loss: float
    accuracy: float
    held_out_accuracy: float
    held_out_loss: float | None = None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


class Fit(Enum):
    """The fit of a model, as shown by the curves of its training run."""

    OVERFITTING = "the held-out loss rose while the training loss fell"
    GAP = "training images are classified much better than held-out ones"
    UNCERTAIN_GAP = "there is a gap, but too few held-out images to be sure"
    STILL_IMPROVING = "the held-out loss was still falling at the end"
    UNDERFITTING = "augmented training images are classified worse than held-out ones"
    GOOD = "none of these"


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of the last stage by its curves.

    `epochs` are its epochs; `since` is the index of the one with the lowest held-out loss (`OVERFITTING`) or of the
    first since which the loss has fallen (`STILL_IMPROVING`), otherwise of the last one.
    """

    fit: Fit
    epochs: tuple[EpochRecord, ...]
    since: int

    @property
    def last(self) -> EpochRecord:
        return self.epochs[-1]


def epoch_records(record: Mapping[str, Any]) -> tuple[EpochRecord, ...]:
    """Return the epochs in a model's training record; none if it has none in this form."""
    try:
        return tuple(
            EpochRecord(
                str(each.get("stage", "training")),
                float(each["loss"]),
                float(each["accuracy"]),
                float(each["held_out_accuracy"]),
                None if each.get("held_out_loss") is None else float(each["held_out_loss"]),
            )
            for each in record.get("history", ())
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def diagnose(history: Sequence[EpochRecord], held_out_images: int | None = None) -> Diagnosis | None:
    """Diagnose the last stage, or all stages if the last one has a single epoch; None for fewer than two epochs.

    If `held_out_images` is known, a gap that so few images cannot prove is uncertain.
    """
    stage = [epoch for epoch in history if epoch.stage == history[-1].stage] if history else []
    epochs = tuple(stage if len(stage) > 1 else history)
    if len(epochs) < 2:
        return None
    last, end = epochs[-1], len(epochs) - 1
    losses = [epoch.held_out_loss for epoch in epochs if epoch.held_out_loss is not None]
    has_losses = len(losses) == len(epochs)
    if has_losses:
        best_epoch = min(range(len(losses)), key=losses.__getitem__)
        if losses[-1] > LOSS_RISE * losses[best_epoch] and last.loss < epochs[best_epoch].loss:
            return Diagnosis(Fit.OVERFITTING, epochs, best_epoch)
    if last.accuracy - last.held_out_accuracy > ACCURACY_GAP:
        is_uncertain = held_out_images and _held_out_bound(last, held_out_images) >= last.accuracy - ACCURACY_GAP
        return Diagnosis(Fit.UNCERTAIN_GAP if is_uncertain else Fit.GAP, epochs, end)
    since = end - max(1, len(epochs) // 5)
    if has_losses and len(epochs) > 4 and losses[-1] < (1 - LOSS_FALL) * losses[since]:
        return Diagnosis(Fit.STILL_IMPROVING, epochs, since)
    if last.accuracy < last.held_out_accuracy - ACCURACY_GAP:
        return Diagnosis(Fit.UNDERFITTING, epochs, end)
    return Diagnosis(Fit.GOOD, epochs, end)


def _held_out_bound(epoch: EpochRecord, images: int) -> float:
    """Return the upper bound of the held-out accuracy."""
    return Share(round(epoch.held_out_accuracy * images), images).high
