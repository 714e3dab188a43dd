"""`opsin train --replay --see`: the run's folder gets snapshots and a page, to which the report links."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from opsin.runs.replay import ReplayFiles


@pytest.fixture
def cli(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls `opsin` with arguments in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return cli


def test_the_report_links_to_a_page_about_its_mistakes(cli: Any, folder: Path) -> None:
    options = ("--network", "lenet5", "--epochs", 1, "--batch", 16, "--learning-rate", 1e-6, "--budget", "20s")
    code, out, err = cli("train", folder, *options, "--replay", "--see", "--run", "run")
    assert (code, err.count("\n")) == (0, 1)  # a warning that it learned nothing
    assert "run/see.html shows the network at work." in out
    steps = [frame.step for frame in ReplayFiles(Path("run/replay")).read()]
    assert steps[:2] == [0, 1]
    page, report = (Path("run", name).read_text(encoding="utf-8") for name in ("see.html", "report.html"))
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    seen = json.loads(data[1])
    assert {"network", "replay", "embedding"} <= set(seen["views"])
    mistakes = json.loads(Path("run/report.json").read_text(encoding="utf-8"))["mistakes"][:8]
    assert mistakes
    assert [image["name"] for image in seen["images"]] == [mistake["name"] for mistake in mistakes]
    answers = [image["answer"].split(" (")[0] for image in seen["images"]]
    assert answers == [mistake["answer"] for mistake in mistakes]
    links = re.findall(r'href="(see\.html#explanations\?image=\d+)"', report)
    assert links == [f"see.html#explanations?image={number}" for number in range(len(mistakes))]


def test_a_run_without_the_options_has_neither(cli: Any, folder: Path) -> None:
    assert cli("train", folder, "--network", "lenet5", "--epochs", 1, "--budget", "20s", "--run", "run").code == 0
    assert not Path("run/see.html").exists()
    assert not Path("run/replay").exists()
    assert "see.html" not in Path("run/report.html").read_text(encoding="utf-8")


def test_a_page_about_mistakes_needs_the_report(cli: Any, folder: Path) -> None:
    code, _, err = cli("train", folder, "--see", "--no-report")
    assert code != 0
    assert "leave out --no-report" in err
