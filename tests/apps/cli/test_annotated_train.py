"""`opsin train` and `opsin.autotrain` with annotated images."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.apps.cli import annotated_copies
from opsin.base.atomic import atomic_write
from opsin.data.sources import detect
from tests.data.annotated_folders import write_masks, write_numbers

SHORT = ("--network", "resnet9_half", "--size", 32, "--epochs", 1, "--batch", 8, "--no-report", "--run")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The sources that are opened."""
    sources, open_once = list[Any](), detect._open

    def recorded(source: Any, *arguments: Any) -> Any:
        sources.append(source)
        return open_once(source, *arguments)

    monkeypatch.setattr(detect, "_open", recorded)
    return sources


def test_data_is_opened_once(cli: Any, tmp_path: Path, opened: list[Any]) -> None:
    folder = write_numbers(tmp_path / "numbers", 24)
    assert cli("train", folder, *SHORT, tmp_path / "run").code == 0
    assert opened == [str(folder)]
    model = opsin.autotrain(folder, network="resnet9_half", size=32, epochs=1)
    assert len(opened) == 2 and model.record["images"] == 18
    assert cli("data", "check", folder).code == 0
    assert len(opened) == 3


@pytest.mark.parametrize(("option", "text"), [("--tta", "mirror images"), ("--class-weights", "for classes")])
def test_options_for_other_tasks_leave_no_run(cli: Any, tmp_path: Path, option: str, text: str) -> None:
    folder = write_numbers(tmp_path / "numbers", 24)
    code, _, err = cli("train", folder, *SHORT, tmp_path / "run", option)
    assert code == 2 and text in err and err.startswith("Error: ")
    assert not (tmp_path / "run").exists()


def test_frozen_backbones_are_planned(cli: Any, tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "masks", 24)
    options = ("--network", "unet_light", "--size", 32, "--epochs", 1, "--freeze", "--augment", "none", "--dry-run")
    code, out, err = cli("train", folder, *options)
    assert (code, err) == (0, "") and "keep them; their outputs are computed once" in out
    code, _, err = cli("train", folder, *options, "--from-scratch")
    assert code == 2 and "--freeze keeps published weights, but unet_light would be trained from scratch" in err
    code, _, err = cli("train", "digits", "--freeze", "--dry-run")
    assert code == 2 and "--freeze is for annotated images; leave it out" in err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk_does_not_lose_the_answers(
    form: tuple[str, ...], cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_numbers(tmp_path / "numbers", 24)
    assert cli("train", folder, *SHORT, tmp_path / "run").code == 0
    images = sorted((folder / "images").iterdir())[:3]

    def full(path: Path, data: bytes) -> None:
        if path.name.startswith(images[1].stem):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        atomic_write(path, data)

    monkeypatch.setattr(annotated_copies, "atomic_write", full)
    arguments = ("predict", tmp_path / "run" / "model.opsin", *images, "--out", tmp_path / "out", *form)
    code, out, err = cli(*arguments)
    assert code != 0
    assert f"{tmp_path / 'out' / '01.answer.jpg'} cannot be written: No space left on device" in err
    answered = [each["image"] for each in json.loads(out)] if form else [line.split()[0] for line in out.splitlines()]
    assert answered == [str(image) for image in images[:2]]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00.answer.jpg"]
