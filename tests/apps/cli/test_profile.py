"""`opsin profile`: the table, the data, the image."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.apps.cli.profile import tree
from opsin.backends.native import profile as profiling
from opsin.backends.native.profile import Profile, ProfileRow


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "fma_peak", lambda threads: 1e11)
    monkeypatch.setattr(profiling, "memory_bandwidth", lambda threads: 1e10)


QUICK = ("--batch", "8", "--seconds", "0", "--threads", "2")


def output(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["profile", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def shares(out: str) -> list[float]:
    """The last cell of each line of the table, in percent."""
    return [float(line.split()[-1].rstrip("%")) for line in out.splitlines() if line.endswith("%")]


@pytest.mark.parametrize("by", ["layer", "kernel"])
def test_the_table_adds_up(by: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capfd, "lenet5", *QUICK, "--by", by, "--top", "5")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "lenet5, training step, 8 images of 1 × 28 × 28"
    assert "peak 100 GFLOP/s, 10 GB/s" in out.splitlines()[1]
    assert all(len(line) <= 100 for line in out.splitlines())
    *actual, whole = shares(out)
    assert whole == 100
    assert len(actual) == 5 + 2  # with what is left, and the waiting
    assert sum(actual) == pytest.approx(100, abs=0.5)


def test_every_layer_and_direction_has_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = output(capfd, "lenet5", *QUICK, "--top", "100")
    for layer in ("conv1", "conv2", "fc1"):
        assert any(line.startswith(layer) and " forward " in line for line in out.splitlines())
        assert any(line.startswith(layer) and " weight gradient " in line for line in out.splitlines())
    assert not any(line.startswith("conv1") and " input gradient " in line for line in out.splitlines())


def test_a_prediction_in_int8(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capfd, "lenet5", *QUICK, "--infer", "--precision", "int8", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert {"conv2d_int8", "quantize"} <= {call["operation"] for call in data["calls"]}
    code, _, err = output(capfd, "lenet5", *QUICK, "--precision", "int8")
    assert code == 2 and "--precision int8 predicts only: give --infer, too" in err


def test_a_prediction_as_data(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = output(capfd, "lenet5", *QUICK, "--infer", "--json")
    data = json.loads(out)
    assert (data["batch"], data["threads"], data["peak_flops"]) == (8, 2, 1e11)
    assert {call["direction"] for call in data["calls"]} == {"forward"}
    assert sum(call["macs"] for call in data["calls"]) == 8 * (
        28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 48000 + 10080 + 840
    )
    assert sum(call["share"] for call in data["calls"]) + data["waiting"] / data["seconds"] == pytest.approx(1)


def test_the_flame_graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "step.svg"
    code, out, _ = output(capfd, "lenet5", *QUICK, "--svg", str(file))
    assert code == 0
    assert out.endswith(f"{file} is the flame graph.\n")
    ET.parse(file)
    text = file.read_text(encoding="utf-8")
    assert "weight gradient › conv2" in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--by", "color"), "--by takes layer or kernel, not 'color'"),
        (("--svg", "step.png"), "the image is an SVG file: call it step.svg instead of step.png"),
        (("--size", "28"), "--size takes channels, height and width"),
    ],
)
def test_invalid_requests(
    arguments: tuple[str, str], text: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = output(capfd, "lenet5", *arguments)
    assert (code, out) == (2, "")
    assert text in err


def test_the_tree_is_as_wide_as_the_step() -> None:
    lines = (
        ProfileRow("stage.conv", "forward", "direct", "conv2d", ("relu",), 0.25, 100, 8),
        ProfileRow("stage.conv", "forward", "direct", "conv2d", (), 0.25, 100, 8),
        ProfileRow("stage.conv", "weight gradient", "direct", "conv2d_weight", (), 0.25, 100, 8),
        ProfileRow("", "update", "pointwise", "add", (), 0.125, 0, 8),
    )
    root = tree(Profile(lines, 1.0, 1, 1, 1e9, 1e9), "step")
    assert root.total == 1.0
    assert [(part.name, part.total) for part in root.children.values()] == [
        ("forward", 0.5), ("weight gradient", 0.25), ("update", 0.125), ("waiting", 0.125),
    ]  # fmt: skip
    calls = root.children["forward"].children["stage"].children["conv"].children
    assert [part.name for part in calls.values()] == ["direct", "direct"]
    assert "conv2d with relu" in next(iter(calls.values())).note
