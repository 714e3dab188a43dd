"""The page about beginning with features: its commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from tests.data.files import write_stripes
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "features.md"


def write_data() -> None:
    """Write classes with images without labels next to them, and a few images of each class."""
    write_stripes(Path("flowers"), 10, side=16)
    others = write_stripes(Path("others"), 30, side=16)
    Path("flowers/unlabelled").mkdir()
    for number, path in enumerate(sorted(others.glob("*/*.png"))[10:50]):
        shutil.copy(path, f"flowers/unlabelled/{number}.png")
    write_stripes(Path("few"), 4, side=16)


def test_commands_and_examples_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data()
    outputs = []
    for command in re.findall(r"^    opsin (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        assert run(shlex.split(f"{command} --threads 1" if "train" in command else command)) == 0, capfd.readouterr()
        outputs.append(capfd.readouterr().out)
    assert "features are learned first, without labels, from 40 images in unlabelled/ and the 14 " in outputs[0]
    assert "all layers have their weights from the model, as it does the same task with the same labels" in outputs[1]
    assert "of 8 images classified correctly by the others; of new ones, expect" in outputs[2]
    plan = json.loads(Path("runs/flowers/config.json").read_text())["plan"]
    assert plan["weights"]["path"] == str(tmp_path / "runs" / "flowers-unlabelled" / "model.opsin")
    assert plan["weights"]["task"] == "self-supervised"
    assert opsin.load("runs/flowers/model.opsin").labels == ("lying", "standing")
    names: dict[str, object] = {"__name__": "example"}
    for example in code_blocks(PAGE):
        example.run(names)
    assert "'method': " in capfd.readouterr().out


def test_the_options_exist(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(["train", "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capfd.readouterr().out))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE.read_text(encoding="utf-8")))
    assert {"--weights", "--epochs", "--from-scratch"} <= named <= known, named - known
