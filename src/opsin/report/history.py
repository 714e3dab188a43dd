"""How the training went, epoch by epoch, as the model's file remembers it, and what that says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opsin.report.phrases import percent
from opsin.report.statistics import Share

RISEN = 1.1
"""The held-out loss has risen where it ends so many times above its least."""

GAP = 0.08
"""From this difference on, the training images are known better than others by heart."""

STILL = 0.03
"""The held-out loss was still falling where the last fifth of the epochs took off this share."""


@dataclass(frozen=True)
class EpochRecord:
    """An epoch: mean loss (nats) and accuracy (0 to 1) while it learnt, and afterwards on the held-out images."""

    stage: str
    loss: float
    accuracy: float
    held_out_accuracy: float
    held_out_loss: float | None = None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def moments(record: Mapping[str, Any]) -> tuple[EpochRecord, ...]:
    """The epochs in a model's training record; none where it has none, or tells them otherwise."""
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


def reading(history: Sequence[EpochRecord], held_out_images: int | None = None) -> str:
    """What the curves of the last stage say, or of all, if that has one epoch. Empty where there is but one in all.

    `held_out_images` is how many there were, where that is known: few of them prove no gap.
    """
    part = [moment for moment in history if moment.stage == history[-1].stage] if history else []
    part = part if len(part) > 1 else list(history)
    if len(part) < 2:
        return ""
    last = part[-1]
    losses = [moment.held_out_loss for moment in part if moment.held_out_loss is not None]
    gap = last.accuracy - last.held_out_accuracy
    learnt, held_out = percent(last.accuracy), percent(last.held_out_accuracy)
    if len(losses) == len(part):
        best = min(range(len(losses)), key=losses.__getitem__)
        if losses[-1] > RISEN * losses[best] and part[-1].loss < part[best].loss:
            return (
                f"It overfits: after epoch {best + 1} of {len(part)} the loss on held-out images rose again, from "
                f"{losses[best]:.2f} to {losses[-1]:.2f}, while that on the training images went on falling, from "
                f"{part[best].loss:.2f} to {last.loss:.2f}. Fewer epochs, stronger augmentation or more images help."
            )
    if gap > GAP:
        if held_out_images and _share(last, held_out_images).high >= last.accuracy - GAP:
            return (
                f"In the last epoch {learnt} of its training images were right, and {held_out} of the "
                f"{held_out_images:,} held-out ones: too few to tell whether it knows the first ones by heart."
            )
        return (
            f"It knows its training images better than others: {learnt} of them were right in the last "
            f"epoch, of the held-out images {held_out}. More images or stronger augmentation "
            "would close that gap."
        )
    tail = max(1, len(losses) // 5)
    if len(losses) == len(part) > 4 and losses[-1] < (1 - STILL) * losses[-1 - tail]:
        return (
            f"It was still learning when the training ended: in the last {_epochs(tail)} the loss on held-out images "
            f"fell from {losses[-1 - tail]:.2f} to {losses[-1]:.2f}. More epochs would help."
        )
    if last.accuracy < last.held_out_accuracy - GAP:
        return (
            f"No overfitting: with {learnt} of the training images, which are distorted to make them "
            f"harder, it does less well than with held-out ones ({held_out}). A larger network or "
            "more epochs could learn more from them."
        )
    return (
        f"No overfitting to speak of: {learnt} of the training images were right in the last epoch, and "
        f"{held_out} of the held-out ones."
    )


def _share(moment: EpochRecord, images: int) -> Share:
    return Share(round(moment.held_out_accuracy * images), images)


def _epochs(count: int) -> str:
    return "epoch" if count == 1 else f"{count} epochs"
