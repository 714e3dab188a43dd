"""docs/ship/onnx.md: its commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.interop.onnx import OPSET
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "ship" / "onnx.md"


def test_the_commands_and_examples_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = opsin.data.load("digits")
    model = opsin.train("lenet5", digits, epochs=3, seed=0)
    model.quantize(digits.train, held_out=digits.test)
    model.save(tmp_path / "digits.opsin")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "seven.png", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    size = re.compile(r"[\d.]+ kB")
    for block in code_blocks(PAGE, "console"):
        command, expected = block.code.splitlines()
        capsys.readouterr()
        assert run(command.removeprefix("$ opsin ").split()) == 0
        assert size.sub("#", capsys.readouterr().out.strip()) == size.sub("#", expected)
    complete, resized, again = code_blocks(PAGE)
    again.run()
    assert capsys.readouterr().out == "True\n"
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    names: dict[str, object] = {"__name__": "example"}
    complete.run(names)
    resized.run(names)
    assert capsys.readouterr().out == "7\n7\n"


def test_the_page_names_the_opset() -> None:
    assert f"with opset {OPSET}," in PAGE.read_text(encoding="utf-8")
