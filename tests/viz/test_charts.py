"""Charts: what is drawn is where the axes say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from opsin.viz.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Dot,
    Series,
    line_chart,
    range_bar,
    share_chart,
)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.83, 0.97, [0.85, 0.9, 0.95]),
        (1, 8, [2, 4, 6, 8]),
        (0, 3200, [0, 1000, 2000, 3000]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high, 0, 100).ticks() == pytest.approx(ticks)


def test_lines_fill_the_chart_and_small_ones_have_dots() -> None:
    series = Series("<a>", "first", ((1.0, 0.2), (2.0, 0.6), (3.0, 0.4)))
    root = ET.fromstring(line_chart([series], "epoch", "accuracy", is_share=True, marks=[2.0]))
    assert root.attrib["aria-label"] == "accuracy over epoch: <a> ends at 40\N{NO-BREAK SPACE}%"
    dots = list(root.iter("circle"))
    assert [float(dot.attrib["cx"]) for dot in dots] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert dots[1].findtext("title") == "<a>: 60\N{NO-BREAK SPACE}%"
    heights = [float(dot.attrib["cy"]) for dot in dots]
    assert HEIGHT - BOTTOM > heights[0] > heights[2] > heights[1] > TOP
    (mark,) = (path for path in root.iter("path") if path.attrib["class"] == "mark")
    assert mark.attrib["d"].startswith(f"M{dots[1].attrib['cx']} ")
    many = Series("b", "first", tuple((float(x), 1.0) for x in range(13)))
    assert "<circle" not in line_chart([many], "x", "y", is_share=False)


def test_shares_are_drawn_with_their_bounds() -> None:
    text = share_chart([Dot(0.5, 0.5, (0.25, 0.75), 4, "a & b")], "x", "y", "what it shows")
    root = ET.fromstring(text)
    (dot,) = root.iter("circle")
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == pytest.approx((229, 102))
    (line,) = (path for path in root.iter("path") if path.attrib["class"] == "bounds")
    assert line.attrib["d"] == "M229 147V57"
    bar = ET.fromstring(range_bar(0.5, (0.0, 1.0), "between 0% and 100%", "1 of 2"))
    assert [path.attrib["d"] for path in bar.iter("path")] == ["M4 7H116", "M4 7H116"]
    assert next(bar.iter("circle")).attrib["cx"] == "60"


def test_charts_are_sound_svg() -> None:
    lines = [Series("a & b", "first", ((1, 0.2), (2, 0.9))), Series("c", "second", ((1, 0.1), (2, 0.3)))]
    dots = [Dot(0.65, 0.6, (0.2, 0.9), 4, "<3>"), Dot(0.97, 40 / 41, (0.9, 1.0), 8, "&")]
    for drawn in (
        line_chart(lines, "epoch", "right", True, [1.5]), line_chart(lines[:1], "n", "loss", False),
        share_chart(dots, "x", "y", "d"), range_bar(0.75, (0.3, 0.95), "a", "b"),
    ):  # fmt: skip
        root = ET.fromstring(drawn)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for circle in root.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= width
            assert 0 <= float(circle.attrib["cy"]) <= height


def test_points_are_where_their_values_are() -> None:
    drawn = ET.fromstring(line_chart([Series("s", "first", ((0, 0.0), (10, 1.0)))], "x", "y", is_share=True))
    first, last = (circle.attrib for circle in drawn.iter("circle"))
    assert float(first["cx"]) < float(last["cx"])
    assert float(first["cy"]) > float(last["cy"])
    ticks = [node.text for node in drawn.iter("text")]
    assert {"0\N{NO-BREAK SPACE}%", "100\N{NO-BREAK SPACE}%", "5", "10"} & set(ticks)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.83, 0.91), (0, 37_000), (1, 1 + 1e-9), (0, 0.004)])
def test_ticks_are_few_and_within_the_axis(low: float, high: float) -> None:
    ticks = Axis(low, high, 0, 100).ticks()
    assert len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
