"""What a report says of a regression: errors next to baselines, truth and answer, ranges of numbers, and intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import percent
from opsin.tasks.regression.intervals import LEVEL
from opsin.tasks.regression.results import QuantityResult, Results, r2
from opsin.tasks.regression.suspects import FACTOR, NEIGHBOURS, Suspect
from opsin.tasks.section import Example, Section, Table
from opsin.viz.charts import scatter_chart

MAX_EXAMPLES = 12
MAX_SUSPECTS = 24
MAX_POINTS = 1500
"""Points of a figure; of more images, equally spaced ones are drawn."""

RANGES = 5
"""Ranges of true numbers with about the same number of images, whose errors are compared."""

MEAN, LAST = "mean", "frame before"
"""Answers without a model: always the mean of the training images, and the true number of the frame before."""

Margins = Sequence[float] | None


def baselines(results: Results, means: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return R² of answers without a model, for each quantity: the mean, and that of the frame before if there is one.

    The number of the frame before says how slowly numbers change; it takes the true one, which no model has.
    """
    answers = {MEAN: [float(value) for value in r2(np.broadcast_to(means, results.truth.shape), results.truth)]}
    before, after = results.successors
    if len(before):
        answers[LAST] = [float(value) for value in r2(results.truth[before], results.truth[after])]
    return answers


def sections(
    quantities: Sequence[QuantityResult],
    results: Results,
    means: NDArray[np.float64],
    margins: Margins,
    worst: Sequence[int],
) -> list[Section]:
    """Return the sections of a report, the most important first."""
    return [
        _errors(quantities, baselines(results, means)),
        _scatter(quantities, results, margins),
        *_ranges(quantities, results, margins),
        *_worst(quantities, results, worst),
    ]


def _errors(quantities: Sequence[QuantityResult], answers: dict[str, list[float]]) -> Section:
    """Return the errors of each quantity, and R² of the baselines."""
    covered = any(each.coverage is not None for each in quantities)
    names = ("quantity", "mean error", "RMSE", "R²", *(["in the interval"] if covered else []),
             *(f"R² of the {name}" for name in answers))  # fmt: skip
    rows = tuple(
        (
            _title(each), _number(each.mae), _number(each.rmse), _score(each.r2),
            *([percent(each.coverage)] if each.coverage is not None else []),
            *(_score(values[column]) for values in answers.values()),
        )
        for column, each in enumerate(quantities)
    )  # fmt: skip
    texts = [
        "R² is the share of the variance that the answers explain: 1 if all are exact, 0 if they are no better than "
        "always answering the mean, and negative if they are worse. R² of the mean is that of the mean of the training "
        "images, which may differ from these. The mean error is that of absolute values."
    ]
    if covered:
        texts.append(
            f"Each answer has an interval that holds the true number with a probability of {LEVEL:.0%}, if new images "
            "are like those of the validation split, to which the intervals are fitted."
        )
    if LAST in answers:
        texts.append(
            "The images are frames in the order of time. The last column is R² of answering the true number of the "
            "frame before, which needs no image; it measures how slowly the numbers change."
        )
    return Section("Errors", tuple(texts), Table(names, rows))


def _scatter(quantities: Sequence[QuantityResult], results: Results, margins: Margins) -> Section:
    """Return a figure of truth and answer for each quantity."""
    shown = np.unique(np.linspace(0, len(results) - 1, MAX_POINTS).astype(np.intp))
    figures = []
    for column, each in enumerate(quantities):
        pairs = np.stack([results.truth[shown, column], results.predictions[shown, column]], axis=1)
        margin = margins[column] if margins else None
        description = f"{each.name}: answers over true numbers of {len(shown):,} images, R² {_score(each.r2)}"
        points = [(float(true), float(answer)) for true, answer in pairs]
        figures.append(scatter_chart(points, f"true {_title(each)}", "answer", description, margin))
    text = "Each dot is an image. On the dashed diagonal the answer is the true number."
    if margins:
        text += f" {LEVEL:.0%} of the dots should lie between the lines next to it."
    return Section("True numbers and answers", (text,), figures=tuple(figures))


def _ranges(quantities: Sequence[QuantityResult], results: Results, margins: Margins) -> Iterator[Section]:
    """Yield a table of the errors in ranges of true numbers, for each quantity that has several."""
    for column, each in enumerate(quantities):
        true, errors = results.truth[:, column], (results.predictions - results.truth)[:, column]
        rows = tuple(
            (
                f"{_number(true[group].min())} to {_number(true[group].max())}", f"{len(group):,}",
                _number(np.abs(errors[group]).mean()), f"{errors[group].mean():+.4g}",
                *([percent((np.abs(errors[group]) <= margins[column]).mean())] if margins else []),
            )
            for group in _groups(true)
        )  # fmt: skip
        names = ("true number", "images", "mean error", "mean difference", *(["in the interval"] if margins else []))
        text = (
            "A mean difference above 0 says that answers are too high there, below 0 that they are too low. Answers "
            "near the mean where numbers are extreme are usual if images do not show enough."
        )
        if len(rows) > 1:
            yield Section(f"Errors by {each.name}", (text,), Table(names, rows))


def _groups(values: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return the images in ranges of values of about the same size; equal values are in the same range."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, RANGES + 1)[1:-1]))
    group = np.searchsorted(edges, values, side="left")
    members = (np.flatnonzero(group == number) for number in range(len(edges) + 1))
    return [each for each in members if len(each)]


def _worst(quantities: Sequence[QuantityResult], results: Results, worst: Sequence[int]) -> list[Section]:
    examples = tuple(Example(number, _caption(quantities, results, number)) for number in worst)
    return [Section("Images with the largest errors", examples=examples)] if examples else []


def suspect_sections(
    quantities: Sequence[QuantityResult], results: Results, suspected: Sequence[Suspect]
) -> list[Section]:
    """Return the numbers to check, if there are any."""
    if not suspected:
        return []
    examples = tuple(Example(each.image, _reason(quantities, results, each)) for each in suspected[:MAX_SUSPECTS])
    number = "One number is" if len(suspected) == 1 else f"{len(suspected):,} numbers are"
    text = (
        f"{number} far from the answer, by more than {FACTOR:g} times the margin of its interval, and also far from "
        f"the numbers of the {NEIGHBOURS} most similar images, by the network's features. The largest errors come "
        "first. Check them: the answers may be right."
    )
    return [Section("Numbers to check", (text,), examples=examples)]


def _reason(quantities: Sequence[QuantityResult], results: Results, each: Suspect) -> str:
    """Return the number that is given, the answer, and the numbers of similar images."""
    true, answer = results.truth[each.image, each.quantity], results.predictions[each.image, each.quantity]
    return (
        f"{quantities[each.quantity].name} is given as {_number(true)}; the answer is {_number(answer)}, "
        f"{each.strength:.1f} margins away, and similar images have {_number(each.low)} to {_number(each.high)}"
    )


def _caption(quantities: Sequence[QuantityResult], results: Results, number: int) -> str:
    """Return the true numbers and the answers of an image."""
    rows = zip(quantities, results.truth[number], results.predictions[number], strict=True)
    return "; ".join(f"{each.name} {_number(true)}, answered {_number(answer)}" for each, true, answer in rows)


def _title(each: QuantityResult) -> str:
    return f"{each.name} ({each.unit})" if each.unit else each.name


def _number(value: float) -> str:
    return f"{float(value):.4g}"


def _score(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
