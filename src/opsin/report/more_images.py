"""Whether more images would help: the words and the figure that the reports of all tasks share."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.formatting import listed
from opsin.report.html import paragraph
from opsin.tasks.score import R2, metric_value, readable
from opsin.training.learning_curve import SUBSETS, DataCurve
from opsin.viz.charts import Series, line_chart

HEADING = "Would more images help?"

MIN_GAIN = 0.01
"""A smaller gain of the metric is called none."""

HARDLY = "More images of the same kind would hardly help"

HOW_TO = (
    "Whether more images would help was not measured; `opsin train --learning-curve` does that. It trains twice more, "
    "on a quarter and on half of the images."
)

NOTHING_LEARNED = (
    "It cannot be said what more images would bring, because the model is no better than a constant answer; train it "
    "longer first."
)

CAPTION = (
    "Results on the same held-out images after training with the same plan, and in as many steps, on parts of the "
    "training images. The last part is an extrapolation by a power law, between its bounds."
)


def figure(points: Sequence[tuple[int, float]], metric: str, caption: str, further: Sequence[Series] = ()) -> str:
    """Return a figure of the metric over the number of training images, and `further` lines."""
    series = Series("measured", "first", tuple((float(images), value) for images, value in points))
    chart = line_chart([series, *further], "training images", readable(metric), metric != R2)
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"


def curve_text(curve: DataCurve, is_constant: bool) -> str:
    """Return what was measured, and what twice as many images would probably bring, or that it cannot be said.

    `is_constant` says that the model is no better than a constant answer.
    """
    sizes = [*(name for _, name in SUBSETS), "all"]
    parts = listed(
        (f"{_value(curve, p.value)} on {size} ({p.images:,})" for size, p in zip(sizes, curve.points, strict=True)),
        conjunction="and",
    )
    outlook = NOTHING_LEARNED if is_constant else _outlook(curve)
    return f"Trained on parts of the training images, the {readable(curve.metric)} is {parts}. {outlook}"


def _outlook(curve: DataCurve) -> str:
    forecast, last = curve.forecast(), curve.points[-1]
    low, high = _value(curve, max(forecast.low, last.value)), _value(curve, forecast.high)
    if curve.points[0].value - last.value > MIN_GAIN:
        return (
            "It does not rise with the number of images, so that it cannot be said what more of them would bring: "
            "training has not learned what these images show, or there are too few images to measure on."
        )
    if forecast.high - last.value < MIN_GAIN:
        return f"{HARDLY}."
    if not forecast.is_certain and forecast.high - last.value < 3 * MIN_GAIN:
        return f"{HARDLY}: with twice as many it would probably not be above {high}."
    if not forecast.is_certain:
        return (
            "What twice as many images would bring cannot be said: the differences are within what chance explains, in "
            f"training and with {curve.measured:,} images to measure on. It would hardly be more than {high}."
        )
    return (
        f"With twice as many images of the same kind it would probably be about {_value(curve, forecast.value)}, "
        f"between {low} and {high}."
    )


def curve_figure(curve: DataCurve) -> str:
    """Return the figure of a curve with its extrapolation."""
    last, forecast = curve.points[-1], curve.forecast()
    ends = {"twice as many": forecast.value, "lower bound": forecast.low, "upper bound": forecast.high}
    lines = [
        Series(name, "second" if value == forecast.value else "third",
               ((float(last.images), last.value), (2.0 * last.images, value)))
        for name, value in ends.items()
    ]  # fmt: skip
    return figure([(point.images, point.value) for point in curve.points], curve.metric, CAPTION, lines)


def curve_section(curve: DataCurve | None, is_constant: bool) -> str:
    """Return the section of a page: the curve (see `curve_text`), or how to measure one."""
    if curve is None:
        return paragraph(HOW_TO)
    return paragraph(curve_text(curve, is_constant)) + f'<div class="charts">{curve_figure(curve)}</div>'


def _value(curve: DataCurve, value: float) -> str:
    return metric_value(curve.metric, value)
