"""The sentences of a report on an annotated task. Each function is about one section, and empty without content."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.base.formatting import listed
from opsin.report import advice
from opsin.report.history import Fit
from opsin.report.metric_robustness import MetricRobustness
from opsin.report.more_images import HOW_TO, MIN_GAIN, curve_text
from opsin.report.phrases import images_phrase
from opsin.report.task_report import TaskReport
from opsin.tasks.score import Score, readable

MAX_NAMED = 3
"""At most this many classes or corruptions are named."""

MIN_DROP = 0.1
"""A corruption is named if it costs at least this share of the metric without corruption."""

MIN_LABEL_IMAGES = 50
"""A label that fewer training images show needs more of them."""

TRAINING = {
    Fit.OVERFITTING: (
        "It overfits: the {metric} on held-out images was best after epoch {epoch} of {count}, {since}, and fell to "
        "{last} at the end, while the loss in training kept falling. Fewer epochs, stronger augmentation or more "
        "images would help."
    ),
    Fit.STILL_IMPROVING: (
        "It was still improving when training ended: in the last {tail} the {metric} on held-out images rose from "
        "{since} to {last}. More epochs would help."
    ),
    Fit.GOOD: (
        "There is no clear sign of overfitting: the {metric} on held-out images ended at {last}; its best was {best}, "
        "after epoch {best_epoch} of {count}."
    ),
}
"""Sentences about the training curves."""


def headline(report: TaskReport) -> str:
    """Return the one sentence that matters most."""
    return f"{_capitalized(report.score.text())} on {images_phrase(report)}."


def evidence(report: TaskReport) -> str:
    """Return the other metrics, and what all of them rest on."""
    score = report.score
    others = [score.text(name) for name in list(score.metrics)[1:]]
    text = f"Measured on {score.images:,} {'image' if score.images == 1 else 'images'}"
    if others:
        text += f"; {listed(others, conjunction='and')}"
    text += "; on new images, expect less." if report.trained_here and report.split != "test" else "."
    if score.images < advice.MIN_IMAGES_FOR_ESTIMATE:
        text += f" {advice.ROUGH}"
    if report.is_constant:
        text += " Giving the same answer for every image would score as well."
    return text


def training(report: TaskReport) -> str:
    """Return what the training curves show."""
    diagnosis = report.diagnosis
    if diagnosis is None or diagnosis.fit not in TRAINING:
        return ""
    last, since, count = diagnosis.last, diagnosis.epochs[diagnosis.since], len(diagnosis.epochs)
    tail = count - 1 - diagnosis.since
    best = max(diagnosis.epochs, key=lambda epoch: epoch.held_out_value)
    values = {"since": since.held_out_value, "last": last.held_out_value, "best": best.held_out_value}
    return TRAINING[diagnosis.fit].format(
        metric=readable(last.metric), epoch=diagnosis.since + 1, count=count,
        best_epoch=diagnosis.epochs.index(best) + 1, tail="epoch" if tail == 1 else f"{tail} epochs",
        **{name: metric_value(last.metric, value) for name, value in values.items()},
    )  # fmt: skip


def learning_curve(report: TaskReport) -> str:
    """Return whether more images would help, or how to find out."""
    if not report.trained_here:
        return ""
    return HOW_TO if report.curve is None else curve_text(report.curve, report.is_constant)


def robustness(report: TaskReport) -> str:
    """Return which corruptions of images cost the most."""
    measured = report.robustness
    if measured is None:
        return ""
    images = (
        f"all {measured.images:,}"
        if measured.images == measured.available
        else f"{measured.images:,} of the {measured.available:,}"
    )
    text = f"Measured on {images} images; without corruption: {_metric(measured.metric, measured.clean)}. "
    strongest = sorted((parts[-1][1], kind, parts[-1][0]) for kind, parts in measured.kinds)
    drops = [row for row in strongest if is_drop(measured, row[0])]
    if not drops:
        return f"{text}None of these corruptions costs more than a tenth of that."
    cases = [f"{kind} ({name}): {metric_value(measured.metric, value)}" for value, kind, name in drops[:MAX_NAMED]]
    return f"{text}It loses most on images that are {'; '.join(cases)}."


def is_drop(measured: MetricRobustness, value: float) -> bool:
    """Return whether the metric under a corruption is much worse than without one."""
    return measured.clean - value > MIN_DROP * abs(measured.clean)


def next_steps(report: TaskReport) -> Iterator[str]:
    """Yield what to do, the most useful first."""
    if report.is_constant:
        yield "Do not use it yet: giving the same answer for every image is just as good. Train longer, or add images."
    yield from advice.measure_elsewhere(report)
    yield from advice.remove_leaks(report)
    yield from _correct_annotations(report)
    yield from _rare_labels(report)
    yield from _more_images(report)
    yield from advice.more_test_images(report.score.images)
    yield from advice.other_epochs(report)
    yield advice.try_it(report)


def _correct_annotations(report: TaskReport) -> Iterator[str]:
    problems = report.receipt.annotation_problems if report.receipt else ()
    if problems:
        what = "annotation" if len(problems) == 1 else f"{len(problems):,} annotations"
        yield f"Correct the {what} that could not be used, which the report lists."


def _more_images(report: TaskReport) -> Iterator[str]:
    """Advise to add images if the learning curve shows that these would help."""
    if report.curve is None or not report.trained_here or report.is_constant:
        return
    forecast = report.curve.forecast()
    if forecast.is_certain and forecast.value - report.score.value >= MIN_GAIN:
        yield "Collect and annotate more images: the learning curve is still rising."


def _rare_labels(report: TaskReport) -> Iterator[str]:
    """Advise to add images of the labels that the fewest training images show."""
    rare = sorted((count, name) for name, count in report.label_counts if count < MIN_LABEL_IMAGES)[:MAX_NAMED]
    if rare:
        counts = listed((f"{name} ({count:,})" for count, name in rare), conjunction="and")
        images = "training image shows" if report.training_images == 1 else "training images show"
        yield f"Add images of what few of the {report.training_images:,} {images}: {counts}."


def _metric(name: str, value: float) -> str:
    return Score(1, 0.0, {name: value}).text()


def metric_value(name: str, value: float) -> str:
    """Return a value as the score writes it, without the name."""
    return _metric(name, value).removeprefix(readable(name)).strip()


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
