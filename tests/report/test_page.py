"""The page is valid, safe and self-contained HTML; the text fits a screen; files are written atomically."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.model import Evaluation
from opsin.report import page, text, write, write_text
from opsin.report.examples import Example, LabelIssues
from opsin.report.model_report import measure_classifier
from opsin.report.statistics import BIN_COUNT
from tests.report.html_checker import Checker, checked_page
from tests.report.support import TRICKY_NAMES, measured, subject


@pytest.fixture(scope="module")
def checked() -> Checker:
    return checked_page(page(measured()))


def test_every_section_is_there(checked: Checker) -> None:
    sections = [attrs["id"] for tag, attrs in checked.tags if tag == "section"]
    assert sections == [
        "classes", "confusions", "mistakes", "label-issues", "calibration", "training", "learning-curve", "robustness",
        "speed", "configuration",
    ]  # fmt: skip
    links = [attrs["href"] for tag, attrs in checked.tags if tag == "a"]
    assert links == [f"#{key}" for key in sections]


def test_names_are_escaped_everywhere(checked: Checker) -> None:
    text = "".join(checked.words)
    assert all(name in text for name in TRICKY_NAMES)
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
        assert panel.count("<img") == len(measured().confusion_examples[int(label), int(answer)])


def test_many_classes_become_a_list() -> None:
    confusion = np.eye(40, dtype=np.int64) * 5
    confusion[3, 4] = 2
    names = tuple(f"class {number}" for number in range(40))
    report = replace(measured(), evaluation=Evaluation(names, confusion, 0.1), confusion_examples={})
    assert '<td class="name">class 3</td><td class="name">class 4</td><td class="number">2</td>' in page(report)
    assert "popovertarget" not in page(report)


def test_the_number_of_bins_is_the_one_measured_with(checked: Checker) -> None:
    assert f"({BIN_COUNT} bins of equal width)" in "".join(checked.words)


def test_the_page_stays_small() -> None:
    assert len(page(measured()).encode()) < 1_000_000


def test_the_text_fits_a_terminal() -> None:
    lines = text(measured())
    assert len(lines) < 48
    assert max(map(len, lines)) <= 96
    assert lines[0].startswith("Right on ")
    assert any(line.startswith("<b>cat</b>") for line in lines)
    assert any(line.startswith("1. ") for line in lines)
    assert "\N{NO-BREAK SPACE}" not in "".join(lines)


def test_the_text_names_suspected_label_errors() -> None:
    examples = tuple(Example(f"cat/{n}.jpg", "cat", "dog", 0.9, 0.05) for n in range(9))
    lines = text(replace(measured(), label_issues=LabelIssues(60, 60, 7, True, 0.9, examples)))
    start = lines.index("    cat/0.jpg: labelled cat, looks like dog (90%)")
    assert [line.split(":")[0].strip() for line in lines[start : start + 5]] == [f"cat/{n}.jpg" for n in range(5)]
    assert "cat/5.jpg" not in "".join(lines)
    assert "Check the 7 labels that look wrong, correct the errors, and train again." in "\n".join(lines)


def test_files_are_written_atomically(tmp_path: Path) -> None:
    model, data = subject()
    report = write(tmp_path, model, data, seconds=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["correct"] == report.accuracy.count
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(report)
    with pytest.raises(UsageError, match=r"nowhere/r\.html cannot be written: No such file or directory; name another"):
        write_text(tmp_path / "nowhere" / "r.html", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="taken cannot be written"):
        write_text(tmp_path / "taken", "x")
    assert len(list(tmp_path.iterdir())) == 3


def test_little_time_is_respected() -> None:
    model, data = subject()
    report = measure_classifier(model, data, seconds=0)
    assert report.robustness is None
    assert report.label_issues is None or report.label_issues.checked < 120
    assert re.search(r"\d", page(report))
