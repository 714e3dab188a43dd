"""A report's figures in sentences. They say how sure they are, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.base.formatting import listed
from opsin.report.history import reading
from opsin.report.model_report import ModelReport
from opsin.report.phrases import between, percent

FEW = 100
"""Figures from fewer images than this are called rough."""

CONFUSED = 3
"""So many confusions are told, and only those of at least two images."""

DROP = 0.1
"""What a spoilt image costs in accuracy, from which on it is pointed out."""

WORTH = 0.01
"""A doubling of the images that brings less accuracy than this is not worth it."""

UNTOLD = 0.08
"""Where chance alone makes a calibration error of this size, a measured one says nothing."""

JUDGE = 0.75
"""Doubts of one who agrees with fewer labels than this are weak."""

ERRONEOUS = 0.01
"""From this share of doubtful labels on, looking at them comes first."""


def verdict(account: ModelReport) -> str:
    """The one sentence that matters."""
    share = account.accuracy
    unseen = "images it has never seen" if account.trained_here else f"the images of {account.data}"
    return f"Right on {percent(share.value or 0)} of {unseen}."


def certainty(account: ModelReport) -> str:
    """What the verdict rests on."""
    share, (label, always) = account.accuracy, account.baseline
    rough = " Take that as a rough figure: there are few images to measure with." if share.total < FEW else ""
    if always.count >= share.count:
        compared = f"That is no better than always saying “{label}”, which is right on {percent(always.value or 0)}."
    else:
        compared = f"Always saying “{label}” would be right on {percent(always.value or 0)}."
    return (
        f"{share.count:,} of {share.total:,} images were right; with other images of the same kind expect "
        f"{between(share)}.{rough} {compared}"
    )


def confusions(account: ModelReport) -> str:
    """What is taken for what most often."""
    frequent = [row for row in account.evaluation.mistakes() if row[2] > 1][:CONFUSED]
    if not frequent:
        return "" if account.accuracy.count < account.accuracy.total else "It made no mistake at all."
    totals = dict(zip(account.evaluation.classes, account.evaluation.confusion.sum(axis=1).tolist(), strict=True))
    told = [f"{label} for {answer} ({count:,} of {totals[label]:,})" for label, answer, count in frequent]
    return f"Most often it takes {listed(told, conjunction='and')}."


def trust(account: ModelReport) -> str:
    """Whether its probabilities can be believed."""
    found = account.reliability
    size = f"Its probabilities are off by {100 * found.error:.1f} points on average"
    chance = f"with {account.accuracy.total:,} images, chance alone makes that {100 * found.by_chance:.1f}"
    believed = "they can be believed" if found.error < max(0.05, 1.5 * found.by_chance) else "do not rely on them"
    if found.by_chance > UNTOLD:
        believed = "there are too few to tell whether to believe them"
    fitted = account.calibration
    how = ""
    if fitted and fitted.images:
        how = f" A temperature of {fitted.temperature:.2f}, fitted on {fitted.images:,} other images, is part of it."
    elif not fitted:
        how = " It has no temperature, since no images were set aside to fit one."
    return f"{size}; {chance}: {believed}.{how}"


def not_knowing(account: ModelReport) -> str:
    """What its "I don't know" is worth."""
    known, fitted = account.known, account.calibration
    if fitted is None:
        return ""
    if known is None or fitted.target is None:
        return (
            "It always answers: the images set aside were too few, or its answers too uncertain, to say from which "
            "probability on they can be relied on."
        )
    if not known.answered.count:
        return f"It would answer none of these images: its probabilities all lie below {percent(known.threshold)}."
    return (
        f"Below a probability of {percent(known.threshold)} it says that it does not know, so that "
        f"{percent(fitted.target)} of its answers are right. Here it answered "
        f"{percent(known.answered.value or 0)} of the images; {percent(known.right.value or 0)} of these answers "
        f"were right ({between(known.right)})."
    )


def overfitting(account: ModelReport) -> str:
    """What the curves say."""
    return reading(account.history, account.record.get("held_out"))


def doubts(account: ModelReport) -> str:
    """How many labels look wrong."""
    found = account.suspects
    if found is None:
        return ""
    part = "" if found.looked_at == found.images else f" (a sample of {found.images:,})"
    among = f"of {found.looked_at:,} {'training ' if account.trained_here else ''}images{part}"
    if not found.doubtful:
        return f"None {among} has a label that looks wrong."
    verb = "label looks" if found.doubtful == 1 else "labels look"
    text = f"{found.doubtful:,} {verb} wrong, or at least strange, {among}; the most suspicious come first."
    if found.agreement < JUDGE:
        agreed = percent(found.agreement)
        text += f" What judges them agrees with only {agreed} of the labels, so that many of these doubts are wrong."
    if not found.unseen:
        text += " The network has learnt these labels itself, so it will have missed some."
    return text


def more_images(account: ModelReport) -> str:
    """Whether more images would help, and of what."""
    curve = account.learning_curve
    if curve is None:
        return ""
    half, whole = curve.points[1], curve.points[-1]
    text = (
        f"With half of the training images ({half.images:,}), {percent(half.accuracy)} of the held-out ones are "
        f"right; with all {whole.images:,}, {percent(whole.accuracy)}. "
    )
    if curve.gain < WORTH:
        text += "More of the same would hardly help"
    else:
        text += f"Twice as many may bring up to {100 * curve.gain:.0f} points more"
    noise = curve.accuracy.high - curve.accuracy.low
    if abs(curve.gain) < noise / 4:
        text += f", but {curve.accuracy.total:,} held-out images are too few to be sure"
    needy = [f"{curve.classes[n]} ({curve.counts[n]:,})" for n in curve.needy()[:CONFUSED]]
    if not needy or curve.gain < WORTH:
        return f"{text}."
    return f"{text}. Most in need of more: {listed(needy, conjunction='and')}."


def fragility(account: ModelReport) -> str:
    """What kind of worse images it cannot stand."""
    found = account.robustness
    if found is None:
        return ""
    sample = f"all {found.of:,}" if found.clean.total == found.of else f"{found.clean.total:,} of the {found.of:,}"
    text = f"Measured on {sample} images, on which {percent(found.clean.value or 0)} are right as they are. "
    worst = sorted((each.strengths[-1][1].value or 0.0, each.kind, each.strengths[-1][0]) for each in found.kinds)
    bad = [(value, kind, how) for value, kind, how in worst if (found.clean.value or 0) - value > DROP]
    if not bad:
        return f"{text}Nothing of this costs it more than {100 * DROP:.0f} points."
    told = [f"{kind} ({how}): {percent(value)}" for value, kind, how in bad[:CONFUSED]]
    return f"{text}It suffers most from images that are {'; '.join(told)}."


def next_steps(account: ModelReport) -> Iterator[str]:
    """What to do, the most useful first."""
    label, always = account.baseline
    if always.count >= account.accuracy.count:
        yield f"Do not use it yet: saying “{label}” every time is as good. Train longer, or give it more images."
    if account.receipt is not None and account.receipt.leaks:
        count = len(account.receipt.leaks)
        what = "image lies" if count == 1 else "images lie"
        yield (
            f"Take duplicates out of the data: {count:,} {what} in more than one part, so that some of what it was "
            "measured on it may have seen."
        )
    found = account.suspects
    if found is not None and found.doubtful >= max(1, ERRONEOUS * found.looked_at) and found.agreement >= JUDGE:
        what = "label that looks" if found.doubtful == 1 else f"{found.doubtful:,} labels that look"
        yield f"Look through the {what} wrong, correct what is, and train again."
    curve = account.learning_curve
    if curve is not None and curve.needy() and (curve.gain >= WORTH or account.accuracy.total < FEW):
        classes = [curve.classes[n] for n in curve.needy()[:CONFUSED]]
        yield f"Collect more images of {listed(classes, conjunction='and')}."
    if account.accuracy.total < FEW:
        yield f"Set more images aside for measuring: {account.accuracy.total:,} leave a wide margin."
    text = overfitting(account)
    if text.startswith("It was still learning"):
        yield "Train for more epochs: it was still getting better."
    elif text.startswith("It overfits"):
        yield "Stop earlier, or augment more strongly: it learns its training images by heart."
    yield f"Try it on images of your own: opsin predict {account.model} IMAGE"
