"""docs/training.md: its commands, one after the other as a reader types them, and the options it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.apps.cli.main import run
from tests.data.annotated_folders import write_masks
from tests.data.files import noise, stripes, write_image, write_stripes
from tests.docs.markdown import ROOT

TEXT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    opsin (.*)$", TEXT, re.MULTILINE)


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write_stripes(tmp_path / "photos")
    write_stripes(tmp_path / "others", 6)
    for number in range(8):
        (tmp_path / "scans" / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        deep = noise(number, 12, 12).astype(np.uint16) << 4
        Image.fromarray(deep).save(tmp_path / "scans" / f"{number % 2}" / f"{number}.png")
    write_image(tmp_path / "new" / "one.png", stripes("lying", 3))
    write_masks(tmp_path / "scenes", 24)
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        if command == "train photos":  # what the page begins with, and says again with a number of epochs
            continue
        is_long = command == "train scenes --learning-curve"
        code = run([*shlex.split(command), *(["--dry-run"] if is_long else [])])
        out = "".join(capfd.readouterr())
        finished = command.startswith("train --resume")
        assert code == (2 if finished else 0), f"{command}\n{out}"
        assert ("is finished: its model is" in out) == finished
    folder = tmp_path / "runs" / "photos-1"
    told = re.findall(r"^\| `([a-z.`/, ]+)` \|", TEXT.partition("| file | holds |")[2], re.MULTILINE)
    names = {name for row in told for name in row.split("`, `")}
    assert names == {f"{path.name}{'/' * path.is_dir()}" for path in folder.iterdir()} - {"lock"}
    assert (tmp_path / "others.html").is_file() and (tmp_path / "photos-contact-sheet.png").is_file()


def test_the_options_exist(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in (["train"], ["data", "check"], ["data", "show"], ["predict"], ["evaluate"]):
        run([*command, "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capfd.readouterr().out))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert named and named <= known, named - known
