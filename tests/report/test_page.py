"""The page: whole, safe and self-contained HTML; the text: a screenful; the files: all or nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.model import Evaluation
from opsin.report import charts, page, text, write, write_text
from opsin.report.examples import Example, LabelIssues
from opsin.report.model_report import measure_model
from opsin.report.statistics import Bin, Share
from tests.report.support import NASTY, measured, subject

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Collects tags, attributes and text; every tag has to be closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def checked() -> Checker:
    checker = Checker()
    checker.feed(page(measured()))
    checker.close()
    assert not checker.open
    return checker


def test_every_section_is_there(checked: Checker) -> None:
    sections = [attrs["id"] for tag, attrs in checked.tags if tag == "section"]
    assert sections == [
        "classes", "confusions", "mistakes", "suspects", "trust", "training", "more", "robustness", "speed",
        "configuration",
    ]  # fmt: skip
    links = [attrs["href"] for tag, attrs in checked.tags if tag == "a"]
    assert links == [f"#{key}" for key in sections]


def test_nothing_comes_from_elsewhere_and_nothing_runs(checked: Checker) -> None:
    assert "script" not in {tag for tag, _ in checked.tags}
    for _, attrs in checked.tags:
        assert not any(key.startswith("on") for key in attrs)
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in page(measured())


def test_names_are_escaped_everywhere(checked: Checker) -> None:
    text = "".join(checked.words)
    assert all(name in text for name in NASTY)
    assert "i" not in {tag for tag, attrs in checked.tags if "class" not in attrs}
    assert sum(tag == "b" for tag, _ in checked.tags) < 200
    assert "<b>cat</b>" not in page(measured())
    assert "<model>" in text and "<model>" not in page(measured())


def test_each_cell_opens_its_images(checked: Checker) -> None:
    confusion = measured().evaluation.confusion
    buttons = {attrs["popovertarget"] for tag, attrs in checked.tags if tag == "button"}
    panels = {attrs["id"] for tag, attrs in checked.tags if "popover" in attrs}
    assert buttons == panels == {f"c-{i}-{j}" for i, j in np.argwhere(confusion)}
    for label, answer in np.argwhere(confusion):
        panel = page(measured()).partition(f'<div popover id="c-{label}-{answer}">')[2].partition("</div>")[0]
        assert panel.count("<img") == len(measured().cells[int(label), int(answer)])


def test_many_classes_become_a_list() -> None:
    confusion = np.eye(40, dtype=np.int64) * 5
    confusion[3, 4] = 2
    names = tuple(f"class {number}" for number in range(40))
    made = replace(measured(), evaluation=Evaluation(names, confusion, 0.1), cells={})
    assert '<td class="name">class 3</td><td class="name">class 4</td><td class="number">2</td>' in page(made)
    assert "popovertarget" not in page(made)


def test_the_page_stays_small() -> None:
    assert len(page(measured()).encode()) < 1_000_000


def test_charts_are_sound_svg() -> None:
    lines = [charts.Series("a & b", "first", ((1, 0.2), (2, 0.9))), charts.Series("c", "second", ((1, 0.1), (2, 0.3)))]
    bins = [Bin(0.6, 0.7, 0.65, Share(3, 5)), Bin(0.9, 1.0, 0.97, Share(40, 41))]
    for drawn in (
        charts.curves(lines, "epoch", "right", shares=True, marks=[1.5]), charts.curves(lines[:1], "n", "loss", False),
        charts.reliability(bins), charts.bounds(Share(3, 4)),
    ):  # fmt: skip
        root = ElementTree.fromstring(drawn)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for number in (float(n) for circle in root.iter("circle") for n in (circle.attrib["cx"],)):
            assert 0 <= number <= width
        for circle in root.iter("circle"):
            assert 0 <= float(circle.attrib["cy"]) <= height
    assert charts.bounds(Share(0, 0)) == ""


def test_points_stand_where_their_values_are() -> None:
    drawn = ElementTree.fromstring(charts.curves([charts.Series("s", "first", ((0, 0.0), (10, 1.0)))], "x", "y", True))
    first, last = (circle.attrib for circle in drawn.iter("circle"))
    assert float(first["cx"]) < float(last["cx"])
    assert float(first["cy"]) > float(last["cy"])
    ticks = [node.text for node in drawn.iter("text")]
    assert {"0%", "100%", "5", "10"} & set(ticks)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.83, 0.91), (0, 37_000), (1, 1 + 1e-9), (0, 0.004)])
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    ticks = charts.Axis(low, high, 0, 100).ticks()
    assert len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_the_text_fits_a_terminal() -> None:
    lines = text(measured())
    assert len(lines) < 48
    assert max(map(len, lines)) <= 96
    assert lines[0].startswith("Right on ")
    assert any(line.startswith("<b>cat</b>") for line in lines)
    assert any(line.startswith("1. ") for line in lines)
    assert "\N{NO-BREAK SPACE}" not in "".join(lines)


def test_the_text_names_doubtful_labels() -> None:
    seen = tuple(Example(f"cat/{n}.jpg", "cat", "dog", 0.9, 0.05) for n in range(9))
    lines = text(replace(measured(), suspects=LabelIssues(60, 60, 7, True, 0.9, seen)))
    start = lines.index("    cat/0.jpg: labelled cat, looks like dog (90%)")
    assert [line.split(":")[0].strip() for line in lines[start : start + 5]] == [f"cat/{n}.jpg" for n in range(5)]
    assert "cat/5.jpg" not in "".join(lines)
    assert "Look through the 7 labels that look wrong, correct what is, and train again." in "\n".join(lines)


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    model, data = subject()
    made = write(tmp_path, model, data, seconds=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["correct"] == made.accuracy.count
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(made)
    with pytest.raises(UsageError, match=r"nowhere/r\.html cannot be written: No such file or directory; name another"):
        write_text(tmp_path / "nowhere" / "r.html", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="taken cannot be written"):
        write_text(tmp_path / "taken", "x")
    assert len(list(tmp_path.iterdir())) == 3


def test_times_are_bounded() -> None:
    model, data = subject()
    made = measure_model(model, data, seconds=0)
    assert made.robustness is None
    assert made.suspects is None or made.suspects.looked_at < 120
    assert re.search(r"\d", page(made))
