"""The commands, called in this process: what they print, and how they end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, ops
from opsin.backends.reference import Reference
from opsin.base.formatting import percent
from opsin.base.legacy import renamed
from opsin.data import Dataset, Preprocessing, load
from opsin.ir import BATCH, Graph, input_tensor
from opsin.model import Model
from tests.data.files import noise, write_image, write_stripes


@pytest.fixture(scope="module")
def data(folder: Path) -> Dataset:
    return load(folder)


@pytest.fixture(scope="module")
def model(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LeNet-5 that tells lying from standing stripes."""
    path = tmp_path_factory.mktemp("models") / "stripes.opsin"
    opsin.train("lenet5", data, epochs=6, batch=8, out=path)
    return path


def test_train_prints_a_line_per_epoch_and_saves_the_model(
    cli: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("train", folder, "--epochs", 2, "--batch", 8, "--seed", 1, "--threads", 1)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("stripes: 40 images of 2 classes, in ")
    assert "stripes: 2 classes, 28 for training, 4 for validation, 8 for testing; 28 × 28, grey" in lines
    assert "lenet5: 61,026 parameters" in lines
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line[:9] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    assert all(
        "loss" in e and "accuracy" in e and "validation" in e and "images/s" in e and " left" in e for e in epochs
    )
    assert "of the 8 test images classified correctly." in out
    assert lines[-2].startswith("runs/stripes-1/model.opsin is the model, ")
    assert opsin.load("runs/stripes-1/model.opsin").record["plan"]["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_train_takes_another_network_rate_and_name(cli: Any, folder: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "other", tmp_path / "run"
    arguments = ("train", folder, "--network", "lenet5_1998", "--epochs", 1, "--learning-rate", 0.01, "--no-report")
    assert cli(*arguments, "--out", out, "--run", run).code == 0
    loaded = opsin.load(out)
    assert loaded.network == "lenet5_1998"
    assert loaded.record["plan"]["stages"][0]["learning_rate"] == 0.01
    assert out.read_bytes() == (run / "model.opsin").read_bytes()


def test_predict_prints_a_line_per_image(cli: Any, model: Path, folder: Path) -> None:
    code, out, err = cli("predict", model, folder / "lying" / "3.png", folder / "standing")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 21
    assert lines[0].split()[:2] == [f"{folder}/lying/3.png", "lying"]
    assert "%   then standing (" in lines[0]
    assert all(line.split()[1] == "standing" for line in lines[1:])


def test_predict_as_json(cli: Any, model: Path, folder: Path) -> None:
    code, out, _ = cli("predict", model, folder / "lying" / "3.png", "--json")
    assert code == 0
    (result,) = json.loads(out)
    assert result["image"] == f"{folder}/lying/3.png"
    assert result["label"] == "lying"
    assert [each["label"] for each in result["ranked"]] == ["lying", "standing"]
    assert sum(each["probability"] for each in result["ranked"]) == pytest.approx(1)
    assert result["ranked"][0]["probability"] == result["probability"]


def uncertain(classes: int) -> Model:
    """Return an uncalibrated model with `classes` classes, whose logits rise from class to class."""
    images = input_tensor("inputs", (BATCH, 1, 28, 28))
    rise = ops.constant(np.arange(classes, dtype=np.float32)[None] / 100)
    logits = ops.add(ops.multiply(ops.sum(images, (1, 2, 3))[:, None], 0.0), rise)
    graph = Graph((images,), {"logits": logits})
    labels = tuple(f"label{number}" for number in range(classes))
    preprocessing = Preprocessing(1, 28, 28, (0.5,), (0.5,))
    return Model("many", graph, nn.initial_state(graph, 0), preprocessing, labels, engine=Reference)  # type: ignore[arg-type]


def test_predict_prints_the_most_likely_labels(cli: Any, folder: Path, tmp_path: Path) -> None:
    made, image = uncertain(1000), folder / "lying" / "3.png"
    made.save(tmp_path / "m.opsin")
    (expected,) = made.predict(image)
    (result,) = json.loads(cli("predict", tmp_path / "m.opsin", image, "--json").out)
    assert result["picture"] == result["image"]  # the name of Opsin 0.1.0
    assert set(result) == {"image", "picture", "label", "probability", "ranked"}  # nothing was calibrated
    assert (result["label"], result["probability"]) == ("label999", pytest.approx(expected.probability))
    assert [each["label"] for each in result["ranked"]] == [f"label{number}" for number in range(999, 994, -1)]
    for top, count in ((1, 1), (7, 7), (5000, 1000)):
        (result,) = json.loads(cli("predict", tmp_path / "m.opsin", image, "--json", "--top", top).out)
        assert len(result["ranked"]) == count
        (line,) = cli("predict", tmp_path / "m.opsin", image, "--top", top).out.splitlines()
        assert line.count("label") == count
        assert ("then" in line) == (count > 1)
        assert "don't know" not in line
    assert cli("predict", tmp_path / "m.opsin", image).out.count("label") == 5
    for wrong in ("0", "-1", "1.5", "many"):
        code, out, err = cli("predict", tmp_path / "m.opsin", image, "--top", wrong)
        assert (code, out) == (2, "")
        assert err.startswith("Error: Invalid value for '--top'")


def test_a_calibrated_model_reports_whether_it_knows(cli: Any, model: Path, folder: Path) -> None:
    loaded = opsin.load(model)
    assert loaded.calibration is not None
    loaded.calibration = replace(loaded.calibration, threshold=0.5)
    loaded.save(model.with_name("sure.opsin"))
    (result,) = json.loads(cli("predict", model.with_name("sure.opsin"), folder / "lying" / "3.png", "--json").out)
    assert result["known"] is True
    loaded.calibration = replace(loaded.calibration, threshold=1.0)
    loaded.save(model.with_name("unsure.opsin"))
    (result,) = json.loads(cli("predict", model.with_name("unsure.opsin"), folder / "lying" / "3.png", "--json").out)
    assert result["known"] is False
    line = cli("predict", model.with_name("unsure.opsin"), folder / "lying" / "3.png", "--top", "1").out
    assert line.rstrip().split("   ")[1:] == ["don't know", "", f"perhaps lying ({percent(result['probability'])})"]


def test_predict_reports_unreadable_files_after_the_predictions(
    cli: Any, model: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    whole = (folder / "lying" / "0.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    odd = [tmp_path / name for name in ("notes.txt", "half.png", "no.png", "empty")]
    code, out, err = cli("predict", model, odd[0], folder / "lying" / "3.png", *odd[1:])
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()] == ["lying"]
    first, second, third, fourth = err.splitlines()
    assert first == (
        f"Error: {tmp_path}/notes.txt is not an image but text; give a PNG, JPEG or other common image file"
    )
    assert second.startswith(f"Error: {tmp_path}/half.png is damaged or cut short (")
    assert third == f"Error: {tmp_path}/no.png: there is no such file; give the path of an image"
    assert fourth == f"Error: {tmp_path}/empty: there are no images in this folder"
    code, out, _ = cli("predict", model, tmp_path / "no.png", "--json")
    assert code == 1
    assert renamed(json.loads(out)) == [{"image": f"{tmp_path}/no.png", "error": third.removeprefix("Error: ")}]


def test_evaluate_uses_the_held_out_images(cli: Any, model: Path, folder: Path) -> None:
    code, out, err = cli("evaluate", model, folder)
    assert (code, err) == (0, "")
    assert out.startswith("100.00% of the 8 held-out images of stripes classified correctly\n0 wrong, mean loss 0.")
    assert out.splitlines()[-2].split() == ["lying", "4", "4", "100.0%"]


def test_evaluate_uses_all_images_of_new_data(cli: Any, model: Path, tmp_path: Path) -> None:
    new = write_stripes(tmp_path / "new", count=6)
    (new / "lying" / "0.png").rename(new / "standing" / "wrong.png")
    code, out, _ = cli("evaluate", model, new, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["images"] == result["pictures"] == 12
    assert result["classes"] == ["lying", "standing"]
    assert np.sum(result["confusion"]) == 12
    assert result["correct"] == np.trace(result["confusion"])
    assert result["accuracy"] == result["correct"] / 12
    assert {"model", "data", "loss"} < result.keys()
    assert "of the 12 unseen images of new classified correctly" in cli("evaluate", model, new).out


def test_describe_a_network(cli: Any) -> None:
    code, out, err = cli("describe", "lenet5")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("lenet5: 1 × 28 × 28 images, 10 classes\n")
    assert ["conv1", "Conv2d", "6", "×", "28", "×", "28", "156", "117,600", "5", "×", "5"] in [
        line[:12] for line in lines
    ]
    assert ["total", "61,706", "416,520"] in [line[:3] for line in lines]
    data = json.loads(cli("describe", "lenet5", "--json").out)
    assert (data["parameters"], data["macs"], data["input"], data["classes"]) == (61_706, 416_520, [1, 28, 28], 10)
    assert data["layers"][0]["output"] == [6, 28, 28]
    assert data["training_memory"] > 0


def test_describe_a_model(cli: Any, model: Path) -> None:
    code, out, _ = cli("describe", model)
    assert code == 0
    assert "(lenet5): 1 × 28 × 28 images, 2 classes" in out
    assert "labels: lying, standing" in out
    assert "trained on 28 images of stripes for 6 epochs: 100.00% of 8 test images classified correctly" in out
    data = json.loads(cli("describe", model, "--json").out)
    assert data["model"]["labels"] == ["lying", "standing"]
    assert data["model"]["training"]["steps"] == 24
    assert data["model"]["preprocessing"]["height"] == 28


def test_help_and_version(cli: Any) -> None:
    assert cli("--version") == (0, f"opsin {opsin.__version__}\n", "")
    assert "Usage: opsin" in cli().out
    for command in ((), ("train",), ("runs",), ("predict",), ("evaluate",), ("describe",)):
        code, out, _ = cli(*command, "--help")
        assert code == 0
        assert "Usage: opsin" in out
    assert all(
        option in cli("train", "-h").out
        for option in ("--network", "--epochs", "--batch", "--seed", "--threads", "--out")
    )


TRY = "shows what it takes."


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("trian",), f"No such command 'trian'. Did you mean 'train'?\n`opsin --help` {TRY}"),
        (("train",), f"Missing argument 'DATA'.\n`opsin train --help` {TRY}"),
        (("train", "digits", "--epoch", 3), "No such option: --epoch (Possible options: --epochs"),
        (("train", "digits", "--epochs", 0), "Invalid value for '--epochs': 0 is not in the range x>=1."),
        (("train", "digits", "--batch", "many"), "Invalid value for '--batch': 'many' is not a valid"),
        (("train", "digits", "--learning-rate", "nan"), "the learning rate must be a positive number such as 0.004"),
        (("train", "digits", "--network", "lenet6"), "there is no network called 'lenet6'; did you mean lenet5"),
        (("predict", "digits.opsin"), f"Missing argument 'IMAGE'.\n`opsin predict --help` {TRY}"),
        (("describe", "lenet9"), "lenet9 is not a model file, and there is no network called 'lenet9'; did you mean"),
    ],
)  # fmt: skip
def test_invalid_requests(
    cli: Any, arguments: tuple[object, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {text}")
    assert err.count("\n") <= 2
    assert not list(tmp_path.iterdir())


def test_failures(cli: Any, model: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("a letter")
    write_image(tmp_path / "one" / "cat" / "1.png", noise(0, 8, 8))
    small = write_stripes(tmp_path / "small", 3)
    other = tmp_path / "other"
    for kind in ("lying", "slanted"):
        for number in range(3):
            write_image(other / kind / f"{number}.png", noise(number, 28, 28))
    cut = tmp_path / "cut.opsin"
    cut.write_bytes(model.read_bytes()[:5000])
    for arguments, text in {
        ("train", tmp_path / "nowhere"): f"{tmp_path}/nowhere: there is no such folder or file; give 'digits'",
        ("train", tmp_path / "one"): f"{tmp_path}/one holds images of one class only ('cat')",
        ("train", small, "--out", tmp_path / "a" / "m"): f"{tmp_path}/a is not a folder; create it first",
        ("train", small, "--out", tmp_path / "letter"): f"{tmp_path}/letter exists and is not an Opsin model",
        ("evaluate", tmp_path / "none.opsin", "digits"): f"{tmp_path}/none.opsin: there is no such file",
        ("evaluate", tmp_path / "letter", "digits"): f"{tmp_path}/letter is not an Opsin model file",
        ("evaluate", cut, "digits"): f"{cut} is damaged or cut short",
        ("evaluate", model, "digits"): "the data has a class '0' that",
        ("evaluate", model, other): "the data has a class 'slanted' that",
        ("predict", cut, folder): f"{cut} is damaged or cut short",
        ("describe", tmp_path / "letter"): f"{tmp_path}/letter is not an Opsin model file",
    }.items():
        code, out, err = cli(*arguments)
        assert (code, out) == (1, ""), arguments
        assert err.startswith(f"Error: {text}"), err
        assert err.count("\n") <= 2
    assert not (tmp_path / "a").exists()


def test_images_too_small_for_the_network(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("a", "b"):
        for number in range(8):
            write_image(tmp_path / "tiny" / kind / f"{number}.png", noise(number, 4, 4))
    code, _, err = cli("train", "tiny")
    assert code == 1
    assert err.startswith("Error: layer ")
    assert err.count("\n") <= 2


def test_a_learning_rate_that_is_too_high(cli: Any, folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("train", folder, "--network", "lenet5", "--learning-rate", 1e15, "--epochs", 9)
    code, _, err = cli(*arguments, "--out", tmp_path / "m.opsin", "--run", run)
    assert code == 1
    first, second, *_, last = err.splitlines()
    assert first.startswith(
        "Rolled back: step 2: values became NaN or infinite; training continues from step 1 with the lear"
    )
    assert second.startswith("Error: step 2 (epoch 2): layer '")
    assert second.endswith(
        "' produced NaN or infinity, even after the learning rate was lowered from 1e+15 to 1e+14; try 0.004."
    )
    assert last == "Nothing had been learned yet, so no model was kept."
    assert not (tmp_path / "m.opsin").exists()
    code, _, err = cli("train", "--resume", run)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"Error: the run in {run} diverged and would again; start a new one with a lower --learn")
