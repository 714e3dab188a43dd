"""Draw the results of a benchmark as SVG: bars of speeds, and lines of time against size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import ceil, floor, log10
from statistics import median

from opsin.apps.benchmark.cases import TRAIN
from opsin.apps.benchmark.measure import Figures, Result
from opsin.apps.benchmark.report import rate
from opsin.apps.benchmark.scaling import Sweep
from opsin.viz import svg
from opsin.viz.svg import label, px
from opsin.viz.text_metrics import text_width

RULES = """
.heading { font-size: 17px; font-weight: bold } .name { font-weight: bold }
.axis { fill: none; stroke: #a3aeb9; stroke-width: 1 } .one { stroke: #5a6672; stroke-dasharray: 3 3 }
.opsin { fill: #1d8f6e } .peer { fill: #8fa3b5 } .best { fill: #5b7fa8 } .spread { stroke: #18222c; stroke-width: 1.2 }
.line { fill: none; stroke: #1d8f6e; stroke-width: 2 } .ideal { fill: none; stroke: #8fa3b5; stroke-dasharray: 4 3 }
"""
DARK_RULES = """
.axis { stroke: #55616d } .one { stroke: #a5b0bb } .spread { stroke: #e8edf2 } .opsin { fill: #2fb78f }
.line { stroke: #2fb78f }
"""
MARGIN, ROW, GAP, WIDTH = 24.0, 17.0, 16.0, 460.0
PANEL_WIDTH, PANEL_HEIGHT, LEFT = 250.0, 200.0, 62.0


def bars(results: Sequence[Result]) -> str:
    """Draw the speed of each competitor relative to the best peer's, with its range over the rounds, case by case."""
    labels = [figures.title for result in results for figures in result.figures]
    labels += [_name(result) for result in results]
    begin = MARGIN + max(text_width(label, 11, bold=True) for label in labels) + 16
    longest = max(_relative(result, figures)[2] for result in results for figures in _plotted_figures(result))
    scale = WIDTH / max(1.0, longest)
    parts: list[str] = []
    y = 52.0
    for task, group in groupby(results, lambda result: result.case.task):
        parts.append(label(MARGIN, y, "Training" if task == TRAIN else "Inference", "heading"))
        y += 22
        for result in group:
            y = _case(parts, result, y, begin, scale) + GAP
    parts.append(svg.path(f"M{px(begin + scale)} 34V{px(y - GAP)}", "one"))
    parts.append(label(begin + scale, 28, "the best peer", "faint", "middle"))
    return _file(begin + WIDTH + 170, y + 6, "Speed of Opsin and of other libraries", parts)


def _case(parts: list[str], result: Result, y: float, begin: float, scale: float) -> float:
    """Draw the bars of a case from `y` on, and return where they end."""
    case = result.case
    parts.append(label(MARGIN, y, _name(result), "name"))
    parts.append(label(begin, y, f"{case.shape[1]} × {case.shape[2]}, {case.threads} threads", "faint"))
    y += 7
    for figures in _plotted_figures(result):
        average, min_ratio, max_ratio = _relative(result, figures)
        style = "opsin" if figures.library == result.opsin.library else "best" if figures is result.best else "peer"
        centre = y + ROW / 2 - 1
        parts.append(label(begin - 8, centre + 4, figures.title, "name" if style == "opsin" else "", "end"))
        parts.append(svg.element("rect", class_=style, x=begin, y=y, width=average * scale, height=ROW - 3))
        parts.append(
            svg.path(f"M{px(begin + min_ratio * scale)} {px(centre)}H{px(begin + max_ratio * scale)}", "spread")
        )
        speed = f"{rate(result, figures)} images/s"
        parts.append(label(begin + max(average, max_ratio) * scale + 6, centre + 4, speed, "faint"))
        y += ROW
    return y


def _name(result: Result) -> str:
    return f"{result.case.network}, batch {result.case.batch}"


def _plotted_figures(result: Result) -> list[Figures]:
    return [figures for figures in result.figures if figures.seconds and (figures.agrees or figures is result.opsin)]


def _relative(result: Result, figures: Figures) -> tuple[float, float, float]:
    """Return median, minimum and maximum of the speed, relative to the best peer's median, or Opsin's without peers."""
    unit = median((result.best or result.opsin).seconds)
    return unit / median(figures.seconds), unit / max(figures.seconds), unit / min(figures.seconds)


def lines(sweeps: Sequence[Sweep]) -> str:
    """Draw time against size for each sweep, with logarithmic axes. A dashed line shows linear growth."""
    parts = [label(MARGIN + LEFT, 32, "Dashed: time proportional to the work.", "faint")]
    for number, sweep in enumerate(sweeps):
        _panel(
            parts, sweep, MARGIN + LEFT + number % 2 * (PANEL_WIDTH + LEFT + 40), 70 + number // 2 * (PANEL_HEIGHT + 90)
        )
    rows = ceil(len(sweeps) / 2)
    width = MARGIN + min(len(sweeps), 2) * (PANEL_WIDTH + LEFT + 40)
    return _file(width, 40 + rows * (PANEL_HEIGHT + 90), "How Opsin's time grows with the work", parts)


def _panel(parts: list[str], sweep: Sweep, left: float, top: float) -> None:
    sizes, times = sweep.values, [1e3 * median(seconds) for seconds in sweep.seconds]
    ideal = [times[0] * work / sweep.works[0] for work in sweep.works]
    low, high = log10(sizes[0]), log10(sizes[-1])
    bottom, ceiling = floor(log10(min(times + ideal))), ceil(log10(max(times + ideal)))

    def position(size: float, milliseconds: float) -> svg.Point:
        x = left + (log10(size) - low) / ((high - low) or 1) * PANEL_WIDTH
        y = top + PANEL_HEIGHT * (1 - (log10(milliseconds) - bottom) / max(1, ceiling - bottom))
        return x, y

    parts.append(label(left, top - 14, sweep.title, "name"))
    parts.append(svg.path(f"M{px(left)} {px(top)}v{px(PANEL_HEIGHT)}h{px(PANEL_WIDTH)}", "axis"))
    for power in range(bottom, ceiling + 1):
        _, y = position(sizes[0], 10.0**power)
        parts.append(label(left - 6, y + 4, f"{10.0**power:g} ms", "faint", "end"))
    for size in sizes:
        x, _ = position(size, 10.0**bottom)
        parts.append(label(x, top + PANEL_HEIGHT + 15, str(size), "faint", "middle"))
    parts.append(label(left + PANEL_WIDTH / 2, top + PANEL_HEIGHT + 32, sweep.axis, "faint", "middle"))
    for kind, values in (("ideal", ideal), ("line", times)):
        points = [position(size, value) for size, value in zip(sizes, values, strict=True)]
        parts.append(svg.path(svg.polyline(points), kind))
    for size, value in zip(sizes, times, strict=True):
        x, y = position(size, value)
        tooltip = svg.title(f"{size}: {value:.3g} ms")
        parts.append(svg.element("circle", tooltip, class_="opsin", cx=x, cy=y, r=3))


def _file(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return svg.document(width, height, title, svg.style_sheet(RULES, DARK_RULES), parts)
