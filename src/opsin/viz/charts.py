"""Small charts as SVG elements, coloured by the style sheet of the page: lines, dots with bounds, and ranges.

Classes of elements: `chart` and `range` (the SVG), `axis`, `grid`, `tick`, `line`, `dot`, `bounds`, `ideal`, `mark`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from opsin.viz import svg
from opsin.viz.svg import px

WIDTH, HEIGHT = 420.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 22.0, 12.0, 38.0
"""Margins around the area of a chart."""
MAX_TICKS = 5
"""About the most ticks on an axis."""
MAX_DOTS = 12
"""A line through at most this many points has a dot on each."""
NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Series:
    """A line through points (x, y). `style` is a class of the page's style sheet: "first", "second", …"""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Dot:
    """A point with the `bounds` of its y, a radius in pixels, and a tooltip."""

    x: float
    y: float
    bounds: tuple[float, float]
    radius: float
    tooltip: str


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` to `length` pixels from `start`; shares are written as percentages."""

    low: float
    high: float
    start: float
    length: float
    is_share: bool = False

    def position(self, value: float) -> float:
        """Return the position of a value in pixels."""
        return self.start + self.length * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values within the axis."""
        raw_step = (self.high - self.low) / MAX_TICKS
        power = 10.0 ** floor(log10(raw_step))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw_step * 0.999)
        first = ceil(self.low / step - 1e-9) * step
        count = floor((self.high - first) / step + 1e-9)
        return [round(first + number * step, 10) for number in range(count + 1)]

    def text(self, value: float) -> str:
        return f"{100 * value:.4g}{NBSP}%" if self.is_share else f"{value:,.10g}"


def line_chart(
    series: Sequence[Series], x_label: str, y_label: str, is_share: bool, marks: Sequence[float] = ()
) -> str:
    """Draw lines over common axes, and a vertical line at each of `marks`; `is_share`: y is a share, 0 to 1."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    padding = max((max(ys) - min(ys)) * 0.08, 0.01 if is_share else 1e-3)
    low, high = min(ys) - padding, max(ys) + padding
    low, high = (max(0.0, low), min(1.0, high)) if is_share else (0.0 if min(ys) >= 0 else low, high)
    x = Axis(min(xs), max(max(xs), min(xs) + 1e-9), LEFT, WIDTH - LEFT - RIGHT)
    y = _y_axis(low, high, is_share)
    content = [svg.path(f"M{px(x.position(mark))} {px(TOP)}V{px(HEIGHT - BOTTOM)}", "mark") for mark in marks]
    for each in series:
        points = [(x.position(a), y.position(b)) for a, b in each.points]
        content.append(svg.path(svg.polyline(points), f"line {each.style}", svg.title(each.name)))
        if len(points) <= MAX_DOTS:
            texts = [f"{each.name}: {y.text(round(value, 4))}" for _, value in each.points]
            content += [_dot(point, 3, each.style, text) for point, text in zip(points, texts, strict=True)]
    ends = "; ".join(f"{each.name} ends at {y.text(round(each.points[-1][1], 4))}" for each in series)
    return _chart(x, y, x_label, y_label, content, f"{y_label} over {x_label}: {ends}")


def share_chart(dots: Sequence[Dot], x_label: str, y_label: str, description: str) -> str:
    """Draw shares over shares (both 0 to 1) with their bounds, and the diagonal on which they are equal."""
    x = Axis(0.0, 1.0, LEFT, WIDTH - LEFT - RIGHT, is_share=True)
    y = _y_axis(0.0, 1.0, is_share=True)
    diagonal = [(x.position(0), y.position(0)), (x.position(1), y.position(1))]
    content = [svg.path(svg.polyline(diagonal), "ideal")]
    for dot in dots:
        low, high = (y.position(bound) for bound in dot.bounds)
        content.append(svg.path(f"M{px(x.position(dot.x))} {px(low)}V{px(high)}", "bounds"))
        content.append(_dot((x.position(dot.x), y.position(dot.y)), dot.radius, "first", dot.tooltip))
    return _chart(x, y, x_label, y_label, content, description)


def scatter_chart(
    points: Sequence[svg.Point], x_label: str, y_label: str, description: str, margin: float | None = None
) -> str:
    """Draw points (x, y) of the same unit over axes of the same range, and the diagonal on which they are equal.

    `margin` draws lines at this distance above and below the diagonal.
    """
    values = [value for pair in points for value in pair]
    low, high = min(values), max(values)
    padding = (high - low) * 0.04 or abs(low) * 0.04 or 1.0
    low, high = low - padding, high + padding
    x, y = Axis(low, high, LEFT, WIDTH - LEFT - RIGHT), _y_axis(low, high, is_share=False)
    offsets = [(0.0, "ideal")] + ([] if margin is None else [(margin, "mark"), (-margin, "mark")])
    content = [_parallel(x, y, offset, style) for offset, style in offsets if abs(offset) < high - low]
    content += [_small_dot((x.position(a), y.position(b))) for a, b in points]
    return _chart(x, y, x_label, y_label, content, description)


def _parallel(x: Axis, y: Axis, offset: float, style: str) -> str:
    """Draw the part of the line y = x + offset that lies within the axes; marks are dashed lines without a fill."""
    ends = [(value, value + offset) for value in (max(x.low, y.low - offset), min(x.high, y.high - offset))]
    return svg.path(svg.polyline([(x.position(a), y.position(b)) for a, b in ends]), style)


def _small_dot(centre: svg.Point) -> str:
    return svg.element("circle", class_="dot first", cx=centre[0], cy=centre[1], r="1.7", fill_opacity="0.5")


def range_bar(value: float, bounds: tuple[float, float], description: str, tooltip: str) -> str:
    """Draw a share as a dot on a line from 0 to 1, with its bounds."""
    width, height, padding = 120.0, 14.0, 4.0
    low, high, centre = (padding + (width - 2 * padding) * share for share in (*bounds, value))
    content = [
        svg.title(tooltip),
        svg.path(f"M{px(padding)} {px(height / 2)}H{px(width - padding)}", "rail"),
        svg.path(f"M{px(low)} {px(height / 2)}H{px(high)}", "bounds"),
        svg.element("circle", class_="dot first", cx=centre, cy=height / 2, r="3.5"),
    ]
    return _svg("range", width, height, description, content)


def _y_axis(low: float, high: float, is_share: bool) -> Axis:
    return Axis(low, high, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM), is_share)


def _dot(centre: svg.Point, radius: float, style: str, tooltip: str) -> str:
    return svg.element("circle", svg.title(tooltip), class_=f"dot {style}", cx=centre[0], cy=centre[1], r=radius)


def _chart(x: Axis, y: Axis, x_label: str, y_label: str, content: Iterable[str], description: str) -> str:
    """Draw axes, ticks and their labels around `content`."""
    bottom, right, middle = HEIGHT - BOTTOM, WIDTH - RIGHT, (TOP + HEIGHT - BOTTOM) / 2
    turned = f"translate(11 {px(middle)}) rotate(-90)"
    frame: list[str] = []
    for tick in y.ticks():
        frame.append(svg.path(f"M{px(LEFT)} {px(y.position(tick))}H{px(right)}", "grid"))
        frame.append(svg.label(LEFT - 6, y.position(tick) + 4, y.text(tick), "tick", "end"))
    frame += [svg.label(x.position(tick), bottom + 16, x.text(tick), "tick", "middle") for tick in x.ticks()]
    frame += [
        svg.path(f"M{px(LEFT)} {px(bottom)}H{px(right)}", "axis"),
        svg.label((LEFT + right) / 2, HEIGHT - 6, x_label, "tick name", "middle"),
        svg.element("text", svg.text_of(y_label), class_="tick name", text_anchor="middle", transform=turned),
    ]
    return _svg("chart", WIDTH, HEIGHT, description, [*frame, *content])


def _svg(style: str, width: float, height: float, description: str, content: Iterable[str]) -> str:
    """Return an SVG element for a page, described for screen readers."""
    size = f"0 0 {px(width)} {px(height)}"
    return svg.element("svg", "".join(content), class_=style, viewBox=size, role="img", aria_label=description)
