"""What a report says of identities: errors by threshold, identification, and the pairs that are told apart worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opsin.base.formatting import percent
from opsin.tasks.identity.identification import Rate
from opsin.tasks.section import Example, Section, Table
from opsin.viz.charts import Series, line_chart

if TYPE_CHECKING:
    from opsin.tasks.identity.evaluation import IdentityEvaluation

MAX_PAIRS = 6
"""Pairs of each kind that are shown."""

MAX_POINTS = 200
"""Points of the curve that is drawn."""

GROUPS_NOTE = (
    "Error rates differ between groups of people, such as by age, sex and skin; those of one group can be several "
    "times the mean. Measure them on images of the people whom the model is used for."
)


def sections(evaluation: IdentityEvaluation) -> list[Section]:
    """Return the sections, the most important first."""
    return [
        _verification(evaluation), *_groups(evaluation), *_identification(evaluation), *_mistakes(evaluation)
    ]  # fmt: skip


def _verification(evaluation: IdentityEvaluation) -> Section:
    roc, pairs = evaluation.roc, evaluation.pairs
    rows = [("equal error rate", percent(roc.equal_error_rate)), ("area under the ROC curve", f"{roc.area:.4f}")]
    rows += [
        (f"true accepts at {percent(rate, digits=2)} false accepts", percent(share))
        for rate, share in roc.stated_rates()
    ]
    if evaluation.calibration:
        threshold = evaluation.calibration.threshold
        accepted, same = evaluation.similarities >= threshold, pairs.same
        rows.append(
            (f"false accepts at the model's threshold, {threshold:.3f}", percent(float(accepted[~same].mean())))
        )
        rows.append(("false rejects at the model's threshold", percent(float((~accepted[same]).mean()))))
    text = f"{len(pairs):,} pairs of images were compared, {int(pairs.same.sum()):,} of them of the same identity. "
    text += f"With the threshold that is best on the other folds, {percent(evaluation.accuracy)} are told apart rightly"
    if len(evaluation.folds) > 1:
        text += f" (standard error {percent(evaluation.standard_error)}, {len(evaluation.folds)} folds)"
    else:
        text += "; there are too few identities for folds, so that this figure is too good"
    text += (
        "; pairs of the same and of different identities count equally. At a given rate of false accepts, the number "
    )
    text += "of strangers who are accepted grows with the number of comparisons."
    notes = (text,) if evaluation.groups else (text, GROUPS_NOTE)
    return Section("Verification", notes, Table(("", "share"), tuple(rows)), (_curve(evaluation),))


def _curve(evaluation: IdentityEvaluation) -> str:
    """Draw true accepts over false accepts."""
    roc = evaluation.roc
    places = np.unique(np.searchsorted(roc.false, np.linspace(0, 1, MAX_POINTS), side="right") - 1)
    points = tuple((float(roc.false[place]), float(roc.true[place])) for place in places)
    return line_chart([Series("ROC", "first", points)], "false accepts", "true accepts", is_share=True)


def _groups(evaluation: IdentityEvaluation) -> list[Section]:
    """Return the errors of each group, if the data names groups."""
    if not evaluation.groups:
        return []
    rows = [
        (rates.column, rates.group, f"{rates.identities:,}", _interval(rates.false_accepts),
         _interval(rates.false_rejects))
        for rates in evaluation.groups
    ]  # fmt: skip
    text = (
        f"Pairs inside each group that groups.csv names, at the similarity {evaluation.threshold:.3f} for all. False "
        "accepts are shares of pairs of different identities, false rejects of pairs of the same. Intervals of 95% are "
        "by a bootstrap over identities; a group with few pairs of a kind has no figure."
    )
    heads = ("", "group", "identities", "false accepts", "false rejects")
    return [Section("By group", (text,), Table(heads, tuple(rows)))]


def _interval(rate: Rate | None) -> str:
    return f"{percent(rate.share)} ({percent(rate.low)} to {percent(rate.high)})" if rate else ""


def _identification(evaluation: IdentityEvaluation) -> list[Section]:
    found = evaluation.identification
    if found is None:
        return []
    rows = [(f"rank 1 among {found.enrolled:,} identities", *_cells(found.rank1))]
    rows += [
        (f"found, at a threshold that {percent(share)} of strangers pass", *_cells(rate))
        for share, rate in found.open_set
    ]
    text = (
        "One image of each identity with several is enrolled, and the others are looked for. In the open set, every "
        "second of these identities is enrolled, and the images of all others are strangers. Intervals of 95% are by a "
        "bootstrap over identities."
    )
    return [Section("Identification", (text,), Table(("", "share", "from", "to", "images"), tuple(rows)))]


def _cells(rate: Rate) -> tuple[str, ...]:
    return percent(rate.share), percent(rate.low), percent(rate.high), f"{rate.count:,}"


def _mistakes(evaluation: IdentityEvaluation) -> list[Section]:
    different, same = evaluation.mistakes(MAX_PAIRS)
    return [
        Section("Different, but most alike", examples=_examples(evaluation, different)),
        Section("The same, but least alike", examples=_examples(evaluation, same)),
    ]


def _examples(evaluation: IdentityEvaluation, pairs: Sequence[int]) -> tuple[Example, ...]:
    """Return both images of each pair, one after the other."""
    examples = []
    for number, pair in enumerate(pairs, start=1):
        text = f"pair {number}, similarity {evaluation.similarities[pair]:.3f}"
        examples += [
            Example(int(image), text) for image in (evaluation.pairs.first[pair], evaluation.pairs.second[pair])
        ]
    return tuple(examples)
