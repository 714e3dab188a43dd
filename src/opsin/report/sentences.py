"""The sentences of a report on a classifier: what was measured, how certain it is, and what to do next.

Each function returns the sentences of one section, empty if there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from opsin.base.formatting import listed
from opsin.report import advice
from opsin.report.history import Fit
from opsin.report.model_report import ModelReport
from opsin.report.more_images import HARDLY, MIN_GAIN
from opsin.report.phrases import images_phrase, interval, percent

MAX_EXAMPLES = 3
"""At most this many confusions, classes or corruptions are named."""

MIN_ROBUSTNESS_DROP = 0.1
"""Report a corruption if it costs more accuracy than this."""

MAX_CHANCE_ERROR = 0.08
"""If chance alone makes a larger calibration error, a measured error says nothing."""

MIN_AGREEMENT = 0.75
"""Suspected label errors are weak if the judge agrees with fewer labels than this."""

MIN_ISSUE_SHARE = 0.01
"""Checking labels is a next step if at least this share of them is suspicious."""

TRAINING = {
    Fit.OVERFITTING: (
        "It overfits: after epoch {epoch} of {count} the loss on held-out images rose again, from "
        "{since.held_out_loss:.2f} to {last.held_out_loss:.2f}, while the loss on training images kept falling, from "
        "{since.loss:.2f} to {last.loss:.2f}. Fewer epochs, stronger augmentation or more images would help."
    ),
    Fit.GAP: (
        "It does better on training images than on others: in the last epoch it was right on {training} of the "
        "training images, but on {held_out} of the held-out images. More images or stronger augmentation would narrow "
        "the gap."
    ),
    Fit.UNCERTAIN_GAP: (
        "In the last epoch it was right on {training} of the training images and on {held_out} of the {images:,} "
        "held-out images: too few to tell whether it overfits."
    ),
    Fit.STILL_IMPROVING: (
        "It was still improving when training ended: in the last {tail} the loss on held-out images fell from "
        "{since.held_out_loss:.2f} to {last.held_out_loss:.2f}. More epochs would help."
    ),
    Fit.UNDERFITTING: (
        "It does not overfit: it was right on {training} of the training images, which augmentation makes harder, and "
        "on {held_out} of the held-out images. A larger network or more epochs could learn more from them."
    ),
    Fit.GOOD: (
        "There is no sign of overfitting: in the last epoch it was right on {training} of the training images and on "
        "{held_out} of the held-out images."
    ),
}
"""Sentences about the training curves."""


def headline(report: ModelReport) -> str:
    """Return the one sentence that matters most."""
    return f"Right on {percent(report.accuracy.value or 0)} of {images_phrase(report)}."


def evidence(report: ModelReport) -> str:
    """Return what the headline rests on."""
    share, (label, always) = report.accuracy, report.baseline
    text = f"{share.count:,} of {share.total:,} images were classified correctly"
    if report.trained_here and report.split not in ("test", "left-out"):
        text += "; on new images, expect less."
    else:
        text += f"; on similar images, expect {interval(share)}."
    if share.total < advice.MIN_IMAGES_FOR_ESTIMATE:
        text += f" {advice.ROUGH}"
    if always.count >= share.count:
        constant = f"always answering “{label}”, which would be right on {percent(always.value or 0)}"
        return f"{text} That is no better than {constant}."
    return f"{text} Always answering “{label}” would be right on {percent(always.value or 0)}."


def frequent_confusions(report: ModelReport) -> str:
    """Return the most frequent confusions."""
    confusions = [row for row in report.evaluation.confusions() if row[2] > 1][:MAX_EXAMPLES]
    if not confusions:
        return "" if report.accuracy.count < report.accuracy.total else "It made no mistakes."
    totals = dict(zip(report.evaluation.classes, report.evaluation.confusion.sum(axis=1).tolist(), strict=True))
    pairs = [f"{label} for {answer} ({count:,} of {totals[label]:,})" for label, answer, count in confusions]
    return f"Most often it mistakes {listed(pairs, conjunction='and')}."


def calibration(report: ModelReport) -> str:
    """Return whether its probabilities can be trusted."""
    reliability, settings = report.reliability, report.calibration
    text = (
        f"Its probabilities are off by {100 * reliability.error:.1f} percentage points on average. With "
        f"{report.accuracy.total:,} images, {100 * reliability.by_chance:.1f} would be expected by chance alone"
    )
    if reliability.by_chance > MAX_CHANCE_ERROR:
        text += ": too few images to tell whether the probabilities can be trusted."
    elif reliability.error < max(0.05, 1.5 * reliability.by_chance):
        text += ": the probabilities can be trusted."
    else:
        text += ": do not rely on the probabilities."
    if settings is None:
        return f"{text} They are not calibrated, because no images were set aside for that."
    if not settings.images:
        return text
    temperature = f"a temperature of {settings.temperature:.2f}, fitted on {settings.images:,} images"
    return f"{text} They are calibrated with {temperature}."


def abstention(report: ModelReport) -> str:
    """Return what its "I don't know" is worth."""
    outcome, settings = report.abstention, report.calibration
    if settings is None:
        return ""
    if outcome is None or settings.target is None:
        return (
            "It always gives an answer: too few images were set aside, or its answers were too uncertain, to find a "
            "probability above which they are reliable."
        )
    threshold = percent(outcome.threshold)
    if not outcome.answered.count:
        return f"It would answer “I don't know” for all of these images: no probability reaches {threshold}."
    return (
        f"Below a probability of {threshold} it says that it does not know, so that at least "
        f"{percent(settings.target)} of its answers are right. Here it gave an answer for "
        f"{percent(outcome.answered.value or 0)} of the images, and {percent(outcome.right.value or 0)} of these "
        f"answers were right ({interval(outcome.right)})."
    )


def training(report: ModelReport) -> str:
    """Return what the training curves show."""
    diagnosis = report.diagnosis
    if diagnosis is None:
        return ""
    last, since, count = diagnosis.last, diagnosis.epochs[diagnosis.since], len(diagnosis.epochs)
    tail = count - 1 - diagnosis.since
    return TRAINING[diagnosis.fit].format(
        last=last, since=since, epoch=diagnosis.since + 1, count=count, images=report.record.get("held_out"),
        tail="epoch" if tail == 1 else f"{tail} epochs",
        training=percent(last.accuracy or 0.0), held_out=percent(last.held_out_value),
    )  # fmt: skip


def label_issues(report: ModelReport) -> str:
    """Return how many labels look wrong."""
    issues = report.label_issues
    if issues is None:
        return ""
    sample = "" if issues.checked == issues.images else f" (a sample of {issues.images:,})"
    images = f"{issues.checked:,} {'training ' if report.trained_here else ''}images{sample}"
    if not issues.count:
        return f"None of {images} has a label that looks wrong."
    noun = "has a label that looks" if issues.count == 1 else "have labels that look"
    text = f"{issues.count:,} of {images} {noun} wrong, or at least unusual. The most suspicious come first."
    if issues.agreement < MIN_AGREEMENT:
        agreement = percent(issues.agreement)
        text += f" The model that judges them agrees with only {agreement} of the labels, so many of these are correct."
    if not issues.independent:
        text += " The network was trained on these labels, so some errors will have been missed."
    return text


def learning_curve(report: ModelReport) -> str:
    """Return whether more images would help, and of which classes."""
    curve = report.learning_curve
    if curve is None:
        return ""
    half, last = curve.points[1], curve.points[-1]
    text = (
        f"Trained on half of the training images ({half.images:,}), it is right on {percent(half.accuracy)} of the "
        f"held-out images; on all {last.images:,}, on {percent(last.accuracy)}. "
    )
    if curve.gain < MIN_GAIN:
        text += HARDLY
    else:
        text += f"Twice as many images could add up to {100 * curve.gain:.0f} percentage points"
    if abs(curve.gain) < (curve.accuracy.high - curve.accuracy.low) / 4:
        text += f", but {curve.accuracy.total:,} held-out images are too few to be sure"
    classes = [f"{curve.classes[n]} ({curve.counts[n]:,})" for n in curve.classes_in_need()[:MAX_EXAMPLES]]
    needs = (
        f" More images are needed most of {listed(classes, conjunction='and')}."
        if classes and curve.gain >= MIN_GAIN
        else ""
    )
    return f"{text}.{needs}"


def robustness(report: ModelReport) -> str:
    """Return which corruptions of images cost it the most accuracy."""
    measurement = report.robustness
    if measurement is None:
        return ""
    clean, count = measurement.clean.value or 0.0, measurement.clean.total
    sample = f"all {count:,}" if count == measurement.available else f"{count:,} of the {measurement.available:,}"
    text = f"Measured on {sample} images; without corruption, {percent(clean)} of them are classified correctly. "
    strongest = [(each.severities[-1][1].value or 0.0, each.kind, each.severities[-1][0]) for each in measurement.kinds]
    largest_drops = [
        (value, kind, name) for value, kind, name in sorted(strongest) if clean - value > MIN_ROBUSTNESS_DROP
    ]
    if not largest_drops:
        return f"{text}None of these corruptions costs more than {100 * MIN_ROBUSTNESS_DROP:.0f} percentage points."
    cases = [f"{kind} ({name}): {percent(value)}" for value, kind, name in largest_drops[:MAX_EXAMPLES]]
    return f"{text}It loses most on images that are {'; '.join(cases)}."


def next_steps(report: ModelReport) -> Iterator[str]:
    """Yield what to do, the most useful first."""
    label, always = report.baseline
    if always.count >= report.accuracy.count:
        yield f"Do not use it yet: always answering “{label}” is just as good. Train longer, or add images."
    yield from advice.measure_elsewhere(report)
    yield from advice.remove_leaks(report)
    issues, is_small_sample = report.label_issues, report.accuracy.total < advice.MIN_IMAGES_FOR_ESTIMATE
    if (
        issues is not None
        and issues.agreement >= MIN_AGREEMENT
        and issues.count >= max(1, MIN_ISSUE_SHARE * issues.checked)
    ):
        labels = "label that looks" if issues.count == 1 else f"{issues.count:,} labels that look"
        yield f"Check the {labels} wrong, correct the errors, and train again."
    curve = report.learning_curve
    if curve is not None and curve.classes_in_need() and (curve.gain >= MIN_GAIN or is_small_sample):
        classes = [curve.classes[n] for n in curve.classes_in_need()[:MAX_EXAMPLES]]
        yield f"Collect more images of {listed(classes, conjunction='and')}."
    yield from advice.more_test_images(report.accuracy.total)
    yield from advice.other_epochs(report)
    yield advice.try_it(report)
