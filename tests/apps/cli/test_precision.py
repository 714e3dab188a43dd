"""--precision: the commands that have it, and what they make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin import nn, zoo
from opsin.apps.cli import tune as tuning
from opsin.backends.native import profile as profiling
from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.tuning import TuningSummary
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.precision import Precision
from opsin.planning import search
from opsin.planning.precision_choice import PrecisionChoice, PrecisionTrial

SHORT = ("--network", "resnet9_half", "--batch", 8, "--no-report", "--epochs", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.opsin"
    opsin.train("lenet5", "digits", epochs=1, out=path)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("train", "digits"), ("predict", "model.opsin", "image.png"), ("predict", "model.opsin", ".", "--follow"),
        ("profile", "lenet5"), ("describe", "lenet5", "--memory"), ("describe", "lenet5", "--plan"),
        ("tune", "lenet5"), ("tune", "lenet5", "--clear"),
    ],
)  # fmt: skip
def test_every_command_refuses_other_names(cli: Any, command: tuple[str, ...]) -> None:
    others = {"train": ", auto", "predict": ", int8"}
    names = "float32, bf16" + others.get(command[0], "")
    for name in ("fp16",) if command[0] == "train" else ("fp16", "auto"):
        code, out, err = cli(*command, "--precision", name)
        assert (code, out, err) == (2, "", f"Error: the precision must be one of {names}, not '{name}'\n")


def test_training(cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("train", folder, *SHORT, "--precision", "bf16")
    assert code == 0
    assert "training steps store feature maps and their gradients as bfloat16" in out
    assert cli("train", folder, *SHORT).code == 0
    plans = [json.loads(Path(f"runs/stripes-{number}/config.json").read_text())["plan"] for number in (1, 2)]
    assert plans[0]["precision"] == "bf16" and "precision" not in plans[1]
    rows = [line.split() for line in cli("runs", "runs/stripes-1", "runs/stripes-2").out.splitlines()]
    assert ["precision", "bf16", "float32"] in rows
    _, _, err = cli("train", "--resume", "runs/stripes-1", "--precision", "float32")
    assert "a resumed run keeps its options; leave out --precision" in err


def test_training_decides(cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("train", folder, *SHORT, "--precision", "auto", "--dry-run")
    assert code == 0 and "a short training in float32 and in bfloat16 decides between them" in out
    results = [PrecisionTrial(name, 30, 1 / (1 + number), (1.0,)) for number, name in enumerate(Precision)]
    choice = PrecisionChoice("bf16", "bfloat16, twice as fast", tuple(results))
    monkeypatch.setattr(search, "choose_precision", lambda *_, **__: choice)
    code, out, _ = cli("train", folder, *SHORT, "--precision", "auto")
    assert code == 0 and "  - bfloat16, twice as fast\n" in out and "Trials" not in out
    assert "training steps store feature maps and their gradients as bfloat16" in out
    plan = json.loads(Path("runs/stripes-1/config.json").read_text())["plan"]
    assert plan["precision"] == "bf16" and [each["precision"] for each in plan["evidence"]] == ["float32", "bf16"]


def test_prediction(cli: Any, folder: Path, model: Path) -> None:
    images = sorted(folder.rglob("*.png"))[:3]
    answers = [
        json.loads(cli("predict", model, *images, "--json", "--precision", name).out) for name in ("float32", "bf16")
    ]
    assert answers[0] == json.loads(cli("predict", model, *images, "--json").out) != answers[1]
    for full, narrow in zip(*answers, strict=True):
        assert narrow["ranked"][0]["probability"] == pytest.approx(full["ranked"][0]["probability"], abs=0.02)


def test_prediction_of_a_folder_that_grows(cli: Any, folder: Path, model: Path) -> None:
    one = sorted(folder.rglob("*.png"))[0]
    alone = json.loads(cli("predict", model, one, "--json", "--precision", "bf16").out)[0]
    code, out, _ = cli("predict", model, one.parent, "--follow", "--idle", 0, "--json", "--precision", "bf16")
    first = json.loads(out.splitlines()[0])
    assert code == 0 and first["probability"] == alone["probability"]


def test_memory_and_plan(cli: Any) -> None:
    arguments = ("describe", "resnet20_cifar", "--memory", "--plan", "--batch", 16, "--threads", 2)
    full, narrow = (cli(*arguments, "--precision", name).out for name in Precision)
    assert narrow.splitlines()[0] == "resnet20_cifar: 16 images of 3 × 32 × 32 per step, 2 threads, bf16"
    assert full == cli(*arguments).out and full.splitlines()[0].endswith("2 threads")
    data = json.loads(cli(*arguments, "--json", "--precision", "bf16").out)
    entry = zoo.find("resnet20_cifar")
    predict = make_plan(nn.trace(entry(), entry.input_shape), 16, host().target, precision=Precision.BF16)
    assert data["precision"] == "bf16" and data["prediction"]["memory"]["total"] == predict.bytes_with(2)
    whole = json.loads(cli(*arguments, "--json").out)
    assert data["training"]["memory"]["total"] < 0.8 * whole["training"]["memory"]["total"]


def test_a_memory_limit_changes_rounding(cli: Any) -> None:
    arguments = ("describe", "resnet20_cifar", "--memory", "19MB", "--batch", 16, "--threads", 2)
    code, out, _ = cli(*arguments, "--precision", "bf16")
    assert code == 0 and "19 MB allowed: activations of the forward pass are recomputed" in out
    assert "The results are the same up to rounding." in out and "bit-identical" not in out


def test_profiles(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "fma_peak", lambda threads: 1e11)
    monkeypatch.setattr(profiling, "memory_bandwidth", lambda threads: 1e10)
    quick = ("profile", "lenet5", "--batch", 8, "--seconds", 0, "--threads", 1)
    code, out, err = cli(*quick, "--precision", "bf16")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "lenet5, training step, 8 images of 1 × 28 × 28, bf16"


def test_tuning(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def tune(*_: object, precision: Precision) -> TuningSummary:
        asked.append(precision)
        return TuningSummary((), (), 0.0)

    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(tuning, "tune", tune)
    out = cli("tune", "resnet20_cifar", "--batch", 4, "--precision", "bf16").out
    assert out.splitlines()[0].endswith(", bf16") and asked == [Precision.BF16]
    assert cli("tune", "resnet20_cifar", "--batch", 4).code == 0 and asked[1:] == [Precision.FLOAT32]
    assert "deleted the results" in cli("tune", "resnet20_cifar", "--batch", 4, "--clear", "--precision", "bf16").out
