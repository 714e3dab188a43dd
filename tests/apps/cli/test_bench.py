"""`opsin bench`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from opsin.apps.benchmark.cases import Case
from opsin.apps.cli import bench
from opsin.apps.cli.main import run
from tests.apps.benchmark.workers import equal_answers, fake_competitor, fake_workers

__all__ = ["fake_workers"]

QUICK = ("--rounds", "1", "--seconds", "0.01", "--threads", "1")


@pytest.fixture(autouse=True)
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "interpreters", lambda given: {})


def test_it_prints_and_writes(tmp_path: Path, capfd: pytest.CaptureFixture[str], fake_workers: None) -> None:
    def with_one(case: Case, pythons: dict[str, str], precisions: Sequence[str]) -> list[Any]:
        return [*original(case, pythons), fake_competitor("Genie", equal_answers(10.0))]

    original = bench.competitors
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "competitors", with_one)
        files = [str(tmp_path / name) for name in ("b.json", "b.md", "b.svg")]
        code = run(
            ["bench", "lenet5:1,2", "--infer", *QUICK, "--json", files[0], "--markdown", files[1], "--plot", files[2]]
        )
    out, err = capfd.readouterr()
    assert code == 0 and not err
    assert "lenet5, inference, batch 2, 1 × 28 × 28, 1 thread: 0.4 million MACs per image" in out
    assert "Not installed: PyTorch, ONNX Runtime, OpenVINO, MNN, TensorFlow, JAX; --peer NAME=PYTHON names an" in out
    assert "peak by FMA alone" in out and "ratio (range)" in out
    data = json.loads(Path(files[0]).read_text())
    assert [result["batch"] for result in data["results"]] == [1, 2] and data["results"][0]["best_peer"] == "Genie"
    assert "| lenet5 | 2 |" in Path(files[1]).read_text()
    ET.parse(files[2])


def test_a_wrong_peer_is_a_failure(monkeypatch: pytest.MonkeyPatch, fake_workers: None) -> None:
    original = bench.competitors
    monkeypatch.setattr(
        bench,
        "competitors",
        lambda case, pythons, precisions: [
            *original(case, pythons),
            fake_competitor("Imp", equal_answers(1.0, shift=1.0)),
        ],
    )
    assert run(["bench", "lenet5:1", "--infer", *QUICK]) == 1


def test_scaling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cases = [Case("lenet5", "infer", batch, (1, 28, 28), 1) for batch in (1, 2)]
    small = bench.Sweep("LeNet-5", "images in the batch", [1, 2], [1.0, 2.0], cases)
    monkeypatch.setattr(bench, "sweeps", lambda threads: [small])
    plot = tmp_path / "s.svg"
    assert run(["bench", "--scaling", *QUICK, "--plot", str(plot)]) == 0
    out, _ = capfd.readouterr()
    assert "LeNet-5: " in out and "images in the batch" in out and "time per unit of work" in out
    ET.parse(plot)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["lenet6"], "there is no network called 'lenet6'"),
        (["lenet5", "lenet5_1998"], "of lenet5_1998 applies 'multiply' in a way that `opsin bench` cannot"),
        (["lenet5", "--size", "5"], "lenet5 does not take 1 × 5 × 5 images: layer"),
        (["lenet5:x"], "'lenet5:x' must have numbers from 1 to 4,096"),
        (["lenet5", "--batch", "0"], "'--batch 0' must have numbers"),
        (["lenet5", "--scaling"], "--scaling has fixed networks, batches and sizes; leave out yours"),
    ],
)
def test_invalid_requests(arguments: list[str], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *arguments]) == 2
    assert text in capfd.readouterr().err


def test_the_status_line_is_for_terminals(capfd: pytest.CaptureFixture[str]) -> None:
    with bench.StatusLine() as line:
        line.show("nothing")
    assert capfd.readouterr() == ("", "")


def test_opsin_comes_first_and_peers_with_every_mode() -> None:
    case = Case("lenet5", "train", 1, (1, 28, 28), 1)
    titles = [each.title for each in bench.competitors(case, {"pytorch": "python", "openvino": "python"})]
    assert titles[:2] == ["Opsin", "PyTorch eager"] and len(titles) == 5
