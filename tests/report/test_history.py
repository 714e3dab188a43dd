"""Diagnoses of training curves, and their sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from opsin.report.history import EpochRecord, Fit, diagnose, epoch_records
from opsin.report.sentences import next_steps, training
from tests.report.support import measured

FALLING = [1.0, 0.8, 0.6, 0.4, 0.3, 0.2]


def run(losses: list[float], held_out: list[float | None], accuracies: tuple[float, float]) -> list[EpochRecord]:
    """Return epochs with these losses; their training and held-out accuracies are constant."""
    return [EpochRecord("training", a, *accuracies, b) for a, b in zip(losses, held_out, strict=True)]


def sentence(history: list[EpochRecord], held_out_images: int | None = None) -> str:
    report = measured()
    record = {**report.record, "held_out": held_out_images}
    return training(replace(report, record=record, diagnosis=diagnose(history, held_out_images)))


@pytest.mark.parametrize(
    ("history", "fit", "since", "text"),
    [
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.75, 0.9, 1.1], (0.99, 0.8)),
            Fit.OVERFITTING,
            2,
            "It overfits: after epoch 3 of 6 the loss on held-out images rose again, from 0.70 to 1.10, while the loss "
            "on training images kept falling, from 0.60 to 0.20. Fewer epochs, stronger augmentation or more images "
            "would help.",
        ),
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.7, 0.7, 0.7], (0.97, 0.8)),
            Fit.GAP,
            5,
            "It does better on training images than on others: in the last epoch it was right on 97% of the training "
            "images, but on 80% of the held-out images. More images or stronger augmentation would narrow the gap.",
        ),
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.5, 0.4], (0.85, 0.83)),
            Fit.STILL_IMPROVING,
            4,
            "It was still improving when training ended: in the last epoch the loss on held-out images fell from 0.50 "
            "to 0.40. More epochs would help.",
        ),
        (
            run([1.0] * 12, [1.0 - 0.05 * n for n in range(12)], (0.85, 0.83)),
            Fit.STILL_IMPROVING,
            9,
            "It was still improving when training ended: in the last 2 epochs the loss on held-out images fell from "
            "0.55 to 0.45. More epochs would help.",
        ),
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.59, 0.59], (0.7, 0.85)),
            Fit.UNDERFITTING,
            5,
            "It does not overfit: it was right on 70% of the training images, which augmentation makes harder, and on "
            "85% of the held-out images. A larger network or more epochs could learn more from them.",
        ),
        (
            run(FALLING, [1.0, 0.8, 0.7, 0.6, 0.59, 0.59], (0.85, 0.84)),
            Fit.GOOD,
            5,
            "There is no sign of overfitting: in the last epoch it was right on 85% of the training images and on "
            "84% of the held-out images.",
        ),
    ],
)
def test_diagnoses_and_their_sentences(history: list[EpochRecord], fit: Fit, since: int, text: str) -> None:
    diagnosis = diagnose(history)
    assert diagnosis is not None
    assert (diagnosis.fit, diagnosis.since, diagnosis.last) == (fit, since, history[-1])
    assert sentence(history).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_gap_is_found_without_held_out_losses() -> None:
    diagnosis = diagnose(run(FALLING, [None] * 6, (0.99, 0.8)))
    assert diagnosis is not None and diagnosis.fit is Fit.GAP


@pytest.mark.parametrize("history", [run([1.0], [1.0], (0.5, 0.5)), []])
def test_fewer_than_two_epochs_have_no_diagnosis(history: list[EpochRecord]) -> None:
    assert diagnose(history) is None
    assert sentence(history) == ""


def test_few_images_prove_no_gap() -> None:
    history = run(FALLING, [1.0, 0.8, 0.7, 0.7, 0.7, 0.7], (1.0, 10 / 12))
    few, many = diagnose(history, 12), diagnose(history, 1200)
    assert few is not None and few.fit is Fit.UNCERTAIN_GAP
    assert many is not None and many.fit is Fit.GAP
    assert sentence(history, 12).endswith("of the 12 held-out images: too few to tell whether it overfits.")


def test_only_the_last_stage_is_diagnosed() -> None:
    head = [EpochRecord("head", 1.0, 0.5, 0.5, 0.1)] * 3
    tuned = [EpochRecord("fine-tuning", 1 - 0.1 * n, 0.8, 0.8, 0.6) for n in range(3)]
    diagnosis = diagnose([*head, *tuned])
    assert diagnosis is not None
    assert (diagnosis.fit, diagnosis.epochs) == (Fit.GOOD, tuple(tuned))


@pytest.mark.parametrize(
    ("fit", "step"),
    [
        (Fit.STILL_IMPROVING, "Train for more epochs: the model was still improving."),
        (Fit.OVERFITTING, "Train for fewer epochs, or augment more strongly: the model overfits."),
        (Fit.GOOD, None),
    ],
)
def test_advice_follows_from_the_diagnosis(fit: Fit, step: str | None) -> None:
    diagnosis = diagnose(run(FALLING, [0.5] * 6, (0.8, 0.8)))
    assert diagnosis is not None
    steps = list(next_steps(replace(measured(), diagnosis=replace(diagnosis, fit=fit))))
    assert [text for text in steps if text.startswith("Train for")] == ([step] if step else [])


@pytest.mark.parametrize("record", [{}, {"history": 7}, {"history": [{"loss": 1}]}, {"history": ["x"]}])
def test_records_in_another_form_have_no_history(record: dict[str, Any]) -> None:
    assert epoch_records(record) == ()


def test_records_without_stages_are_read() -> None:
    (epoch,) = epoch_records({"history": [{"loss": 0.5, "accuracy": 0.8, "held_out_accuracy": 0.7}]})
    assert epoch == EpochRecord("training", 0.5, 0.8, 0.7, None)
