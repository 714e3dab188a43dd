"""docs/video.md: its commands, as a reader types them."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from tests.apps.cli.test_follow import SUMMARY
from tests.data.files import stripes, write_image, write_stripes
from tests.data.frames.videos import write_video

TEXT = (Path(__file__).parents[2] / "docs" / "video.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    opsin (.*)$", TEXT, re.MULTILINE)


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    opsin.train("lenet5", write_stripes(tmp_path / "stripes", 10, side=28), epochs=1, batch=8, out="model.opsin")
    for number, kind in enumerate(("lying", "standing"), start=1):
        write_image(tmp_path / "frames" / f"frame000{number}.jpg", stripes(kind, 3, 28))
    if find_spec("av"):
        write_video(tmp_path / "drive.mp4")
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        code = run(shlex.split(command.replace("--idle 2", "--idle 0")))
        out, err = capfd.readouterr()
        needs_video = "drive.mp4" in command or "/dev/video0" in command
        if needs_video and not find_spec("av"):
            assert code == 1
            assert "pip install 'opsin[video]'" in err
        elif "/dev/video0" in command and not Path("/dev/video0").exists():
            assert (code, err) == (1, "Error: /dev/video0: there is no such camera; see that it is connected\n")
        elif "/dev/video0" not in command:
            assert code == 0, f"{command}\n{out}{err}"
    assert (tmp_path / "drawn" / "frame0001.answer.jpg").is_file()
    assert (tmp_path / "annotated.mp4").is_file() == bool(find_spec("av"))


def test_the_example_has_the_form_of_the_output() -> None:
    (example,) = re.findall(r"^    frames/frame0001.*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("    ") for line in example.strip().splitlines()]
    assert all(re.fullmatch(r"\S+   \w+ \([\d.]+%\)", line) for line in lines[:-2])
    assert SUMMARY.fullmatch("\n".join(lines[-2:]) + "\n")


def test_the_options_exist(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(["predict", "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capfd.readouterr().out))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert named
    assert named <= known, named - known
