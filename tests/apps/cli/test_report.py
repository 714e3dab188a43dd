"""`opsin evaluate --report` and `opsin predict` of a model that knows what it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.apps.cli.main import run
from opsin.model import Calibration, Model
from tests.data.files import write_image
from tests.model.networks import LABELS, images, small_model


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


def saved(folder: Path, threshold: float | None) -> Path:
    model: Model = small_model()
    model.calibration = Calibration(1.5, 100, threshold, 0.95, 0.7, 0.97)
    model.save(folder / "m.opsin")
    return folder / "m.opsin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ninety images in class folders, with a name that a page has to escape."""
    for number, pixels in enumerate(images(90)):
        write_image(tmp_path / "data" / LABELS[number % 3] / f"<b>{number}.png", pixels[0])
    return tmp_path / "data"


def test_uncertain_predictions_are_not_given(cli: Any, folder: Path, tmp_path: Path) -> None:
    pixels = images(90)
    model = small_model()
    model.calibration = Calibration(1.5, 100)
    sure = model.probabilities(pixels).max(axis=1)
    threshold = float(np.median(sure))
    path = saved(tmp_path, threshold)
    known = write_image(tmp_path / "known.png", pixels[int(sure.argmax())][0])
    unknown = write_image(tmp_path / "unknown.png", pixels[int(sure.argmin())][0])
    code, out, err = cli("predict", path, known, unknown)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.split()[1] in LABELS
    assert "%   then " in first
    assert second.split(maxsplit=1)[1].startswith("don't know")
    assert all(label in second.partition("perhaps ")[2] for label in LABELS)
    results = json.loads(cli("predict", path, known, unknown, "--json")[1])
    assert [result["known"] for result in results] == [True, False]
    assert results[1]["label"] == LABELS[int(model.probabilities(pixels)[int(sure.argmin())].argmax())]
    assert results[1]["probability"] == pytest.approx(sure.min(), abs=1e-5)


def test_evaluate_writes_the_report(cli: Any, folder: Path, tmp_path: Path) -> None:
    path, report = saved(tmp_path, 0.6), tmp_path / "r.html"
    code, out, err = cli("evaluate", path, folder, "--report", report)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Right on ") and lines[0].endswith(" of the images of data.")
    assert lines[-1] == f"{report} is the full report, for a browser."
    assert "What to do next:" in lines
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert "&lt;b&gt;" in page and "<b>8" not in page
    data = json.loads(cli("evaluate", path, folder, "--report", report, "--json")[1])
    assert data["images"] == data["accuracy"]["total"] == 90
    assert data["calibration"]["temperature"] == 1.5
    assert cli("evaluate", path, folder)[1].startswith(f"{data['correct'] / 90:.2%} of the 90 unseen images")


def test_paths_where_no_report_can_be_written(cli: Any, folder: Path, tmp_path: Path) -> None:
    path = saved(tmp_path, None)
    (tmp_path / "page.html").mkdir()
    for report, text in {
        tmp_path / "r.txt": f"the report is an HTML file: call it {tmp_path}/r.html instead of {tmp_path}/r.txt",
        tmp_path
        / "no"
        / "r.html": f"{tmp_path}/no is not a folder; create it first, or write the report to another folder",
        tmp_path / "page.html": f"{tmp_path}/page.html is a folder; give the name of a file for the report",
    }.items():
        code, out, err = cli("evaluate", path, folder, "--report", report)
        assert (code, out, err) == (2, "", f"Error: {text}\n")
