"""`opsin predict` and `opsin evaluate` in 8-bit integers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.model import Model
from opsin.quantization.comparison import Comparison


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.opsin"
    data = opsin.data.load("digits")
    trained: Model = opsin.train("lenet5", data, epochs=1)
    trained.quantize(data.train, data.validation)
    trained.save(path)
    return path


@pytest.fixture
def plain(model: Path, tmp_path: Path) -> Path:
    """The same model without ranges."""
    path = tmp_path / "plain.opsin"
    loaded = opsin.load(model)
    loaded.quantization = None
    loaded.save(path)
    return path


def test_prediction(cli: Any, folder: Path, model: Path) -> None:
    images = sorted(folder.rglob("*.png"))[:3]
    full, integer = (
        json.loads(cli("predict", model, *images, "--json", "--precision", name).out) for name in ("float32", "int8")
    )
    assert all(abs(a["probability"] - b["probability"]) < 0.1 for a, b in zip(full, integer, strict=True))
    assert [each["probability"] for each in full] != [each["probability"] for each in integer]


def test_calibration(cli: Any, folder: Path, plain: Path) -> None:
    image = next(folder.rglob("*.png"))
    code, _, err = cli("predict", plain, image, "--precision", "int8")
    assert code == 1 and "has no ranges for 8-bit integers" in err and "--calibrate FOLDER" in err
    code, out, err = cli("predict", plain, image, "--precision", "int8", "--calibrate", folder)
    count = len(list(folder.rglob("*.png")))
    assert code == 0 and image.name in out
    assert err.startswith(f"Note: int8 ranges from {count} images in {folder}: the same answer for ")


def test_folders_to_calibrate_on(cli: Any, folder: Path, plain: Path, tmp_path: Path) -> None:
    image = next(folder.rglob("*.png"))
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(image, broken / "a.png")
    (broken / "b.png").write_bytes(image.read_bytes()[:40])
    for path, message in (
        (image, "this is not a folder"), (tmp_path / "empty", "there are no images in this folder"),
        (broken, "b.png"),
    ):  # fmt: skip
        code, out, err = cli("predict", plain, image, "--precision", "int8", "--calibrate", path)
        assert (code, out) == (1, "") and message in err


def test_options_need_int8(cli: Any, folder: Path, model: Path) -> None:
    image = next(folder.rglob("*.png"))
    for option in (("--calibrate", folder), ("--max-drop", 2)):
        code, _, err = cli("predict", model, image, *option)
        assert code == 2 and f"{option[0]} is for predictions in 8-bit integers; add --precision int8" in err
    code, _, err = cli("evaluate", model, "digits", "--layers")
    assert code == 2 and "add --precision int8" in err


def test_a_model_that_loses_too_much_is_refused(cli: Any, folder: Path, model: Path, tmp_path: Path) -> None:
    path, image = tmp_path / "poor.opsin", next(folder.rglob("*.png"))
    poor = opsin.load(model)
    assert poor.quantization is not None
    poor.quantization = replace(poor.quantization, comparison=Comparison(100, 90, lost=8, won=2))
    poor.save(path)
    code, _, err = cli("predict", path, image, "--precision", "int8")
    assert code == 1 and "a drop of 6.00 points" in err and "the limit is 1 points" in err
    assert cli("predict", path, image, "--precision", "int8", "--max-drop", 7).code == 0
    assert cli("evaluate", path, "digits", "--precision", "int8").code == 0, "it is measured, whatever it loses"


def test_evaluation(cli: Any, model: Path) -> None:
    code, out, _ = cli("evaluate", model, "digits", "--precision", "int8")
    heading, _, second, *_ = out.splitlines()
    assert code == 0 and heading.startswith("int8 against float32: ") and " won of 1,000 images: a drop of " in heading
    assert second.endswith("of the 1,000 held-out images of digits classified correctly")
    full, integer = (
        json.loads(cli("evaluate", model, "digits", "--json", "--precision", name).out) for name in ("float32", "int8")
    )
    counts = integer["int8"]
    assert "int8" not in full and counts["images"] == 1000
    assert counts["lost"] - counts["won"] == pytest.approx(1000 * (full["accuracy"] - integer["accuracy"]))


def test_layers(cli: Any, model: Path) -> None:
    code, out, _ = cli("evaluate", model, "digits", "--precision", "int8", "--layers")
    head, *rows = out.splitlines()
    assert code == 0 and head.split()[:3] == ["layer", "in", "int8"]
    assert {row.split()[0] for row in rows} == {"conv1", "conv2", "fc1", "fc2", "fc3"}
    costs = json.loads(cli("evaluate", model, "digits", "--precision", "int8", "--layers", "--json").out)
    assert [cost["error"] for cost in costs] == sorted((cost["error"] for cost in costs), reverse=True)
    assert all(cost["comparison"]["images"] == 500 for cost in costs)
