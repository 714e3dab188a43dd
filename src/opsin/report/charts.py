"""Small charts as SVG, for a page that gives them their colours: curves, reliability, and bounds on a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from opsin.report.statistics import Bin, Share

WIDTH, HEIGHT = 420.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 22.0, 12.0, 38.0
TICKS = 5
"""At most about so many on an axis."""


@dataclass(frozen=True)
class Series:
    """A line through points (x, y). `style` is a class of the page's: "first", "second", …"""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Axis:
    """Numbers from `low` to `high` along `length` pixels from `start`; `shares` are written as percentages."""

    low: float
    high: float
    start: float
    length: float
    shares: bool = False

    def place(self, value: float) -> float:
        return self.start + self.length * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers inside."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        count = floor((self.high - ceil(self.low / step - 1e-9) * step) / step + 1e-9)
        return [round(ceil(self.low / step - 1e-9) * step + number * step, 10) for number in range(count + 1)]

    def text(self, value: float) -> str:
        return f"{100 * value:.4g}%" if self.shares else f"{value:,.10g}"


def curves(series: Sequence[Series], across: str, up: str, shares: bool, marks: Sequence[float] = ()) -> str:
    """Lines over common axes, which are called `across` and `up`; an upright line at each of `marks`."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    low, high = min(ys), max(ys)
    room = max((high - low) * 0.08, 0.01 if shares else 1e-3)
    low, high = (max(0.0, low - room), min(1.0, high + room)) if shares else (0.0, high + room)
    x = Axis(min(xs), max(max(xs), min(xs) + 1e-9), LEFT, WIDTH - LEFT - RIGHT)
    y = Axis(low, high, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM), shares)
    lines = [f'<path class="mark" d="M{_px(x.place(at))} {_px(TOP)}V{_px(HEIGHT - BOTTOM)}"/>' for at in marks]
    for each in series:
        points = [(x.place(a), y.place(b)) for a, b in each.points]
        lines.append(f'<path class="line {each.style}" d="{_path(points)}"><title>{escape(each.name)}</title></path>')
        if len(points) <= 12:
            lines += [
                f'<circle class="dot {each.style}" cx="{_px(a)}" cy="{_px(b)}" r="3"><title>'
                f"{escape(each.name)}: {y.text(round(value, 4))}</title></circle>"
                for (a, b), (_, value) in zip(points, each.points, strict=True)
            ]
    told = "; ".join(f"{each.name} ends at {y.text(round(each.points[-1][1], 4))}" for each in series)
    return _chart(x, y, across, up, lines, f"{up} over {across}: {told}")


def reliability(bins: Sequence[Bin]) -> str:
    """How often answers were right over how probable they were said to be; perfect is the diagonal. With bounds."""
    side = HEIGHT - TOP - BOTTOM
    x = Axis(0.0, 1.0, LEFT, WIDTH - LEFT - RIGHT, shares=True)
    y = Axis(0.0, 1.0, HEIGHT - BOTTOM, -side, shares=True)
    lines = [f'<path class="ideal" d="{_path([(x.place(0), y.place(0)), (x.place(1), y.place(1))])}"/>']
    most = max((each.right.total for each in bins), default=1)
    for each in bins:
        value = each.right.value or 0.0
        at, size = x.place(each.confidence), 3 + 5 * (each.right.total / most) ** 0.5
        text = (
            f"{each.right.total:,} answers with a probability around {each.confidence:.0%}: {value:.0%} of them right"
        )
        bounds = f"M{_px(at)} {_px(y.place(each.right.low))}V{_px(y.place(each.right.high))}"
        lines.append(f'<path class="bounds" d="{bounds}"/>')
        lines.append(
            f'<circle class="dot first" cx="{_px(at)}" cy="{_px(y.place(value))}" r="{_px(size)}">'
            f"<title>{text}</title></circle>"
        )
    return _chart(x, y, "probability of the answer", "right", lines, "Share of right answers over their probability")


def bounds(share: Share) -> str:
    """A dot on a line from 0 to 1, with its bounds."""
    if share.value is None:
        return ""
    width, middle = 120.0, 7.0
    low, high, at = (4 + (width - 8) * value for value in (share.low, share.high, share.value))
    return (
        f'<svg class="range" viewBox="0 0 {_px(width)} 14" role="img" aria-label="between {share.low:.0%} and '
        f'{share.high:.0%}"><title>{share.count:,} of {share.total:,}; between {share.low:.0%} and {share.high:.0%}'
        f'</title><path class="rail" d="M4 {_px(middle)}H{_px(width - 4)}"/><path class="bounds" d="M{_px(low)} '
        f'{_px(middle)}H{_px(high)}"/><circle class="dot first" cx="{_px(at)}" cy="{_px(middle)}" r="3.5"/></svg>'
    )


def _chart(x: Axis, y: Axis, across: str, up: str, lines: Iterable[str], told: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {_px(WIDTH)} {_px(HEIGHT)}" role="img" aria-label="{escape(told)}">',
        *(
            f'<path class="grid" d="M{_px(LEFT)} {_px(y.place(tick))}H{_px(WIDTH - RIGHT)}"/>'
            f'<text class="tick" text-anchor="end" x="{_px(LEFT - 6)}" y="{_px(y.place(tick) + 4)}">{y.text(tick)}'
            "</text>"
            for tick in y.ticks()
        ),
        *(
            f'<text class="tick" text-anchor="middle" x="{_px(x.place(tick))}" y="{_px(bottom + 16)}">{x.text(tick)}'
            "</text>"
            for tick in x.ticks()
        ),
        f'<path class="axis" d="M{_px(LEFT)} {_px(bottom)}H{_px(WIDTH - RIGHT)}"/>',
        f'<text class="tick name" text-anchor="middle" x="{_px((LEFT + WIDTH - RIGHT) / 2)}" '
        f'y="{_px(HEIGHT - 6)}">{escape(across)}</text>',
        f'<text class="tick name" text-anchor="middle" transform="translate(11 {_px((TOP + bottom) / 2)}) rotate(-90)">'
        f"{escape(up)}</text>",
        *lines,
        "</svg>",
    ]
    return "".join(parts)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_px(x)} {_px(y)}" for x, y in points)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
