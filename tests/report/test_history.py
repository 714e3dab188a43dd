"""Curves read out in words."""

from __future__ import annotations

from typing import Any

import pytest

from opsin.report.history import EpochRecord, moments, reading


def run(losses: list[float], held_out: list[float | None], accuracies: tuple[float, float]) -> list[EpochRecord]:
    """Epochs with these losses that end with these accuracies, while learning and held out."""
    return [EpochRecord("training", a, *accuracies, b) for a, b in zip(losses, held_out, strict=True)]


FALLING = [1.0, 0.8, 0.6, 0.4, 0.3, 0.2]


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.75, 0.9, 1.1], (0.99, 0.8)),
            "It overfits: after epoch 3 of 6 the loss on held-out images rose again, from 0.70 to 1.10, while that "
            "on the training images went on falling, from 0.60 to 0.20.",
        ),
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.7, 0.7, 0.7], (0.99, 0.8)),
            "It knows its training images better than others",
        ),
        (run(FALLING, [None] * 6, (0.99, 0.8)), "It knows its training images better than others"),
        (run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.5, 0.4], (0.85, 0.83)), "It was still learning when the training ended"),
        (run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.59, 0.59], (0.7, 0.85)), "No overfitting: with 70"),
        (run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.59, 0.59], (0.85, 0.84)), "No overfitting to speak of"),
        (run([1.0], [1.0], (0.5, 0.5)), ""),
        ([], ""),
    ],
)
def test_readings(history: list[EpochRecord], text: str) -> None:
    assert reading(history).startswith(text)
    assert bool(reading(history)) == bool(text)


def test_few_images_prove_no_gap() -> None:
    history = run(FALLING, [1.0, 0.8, 0.7, 0.7, 0.7, 0.7], (1.0, 10 / 12))
    assert reading(history, 12).endswith(
        "of the 12 held-out ones: too few to tell whether it knows the first ones by heart."
    )
    assert reading(history, 1200).startswith("It knows its training images better than others")


def test_only_the_last_stage_is_read() -> None:
    head = [EpochRecord("head", 1.0, 0.5, 0.5, 0.1)] * 3
    tuned = [EpochRecord("fine-tuning", 1 - 0.1 * n, 0.8, 0.8, 0.6) for n in range(3)]
    assert reading([*head, *tuned]).startswith("No overfitting to speak of")


@pytest.mark.parametrize("record", [{}, {"history": 7}, {"history": [{"loss": 1}]}, {"history": ["x"]}])
def test_records_of_others_have_no_history(record: dict[str, Any]) -> None:
    assert moments(record) == ()


def test_older_records_are_read() -> None:
    (moment,) = moments({"history": [{"loss": 0.5, "accuracy": 0.8, "held_out_accuracy": 0.7}]})
    assert moment == EpochRecord("training", 0.5, 0.8, 0.7, None)
