"""The pages of the tasks: their commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from tests.data.annotated_folders import write_boxes, write_labels, write_masks, write_numbers
from tests.docs.markdown import ROOT, code_blocks
from tests.tasks.identity.blobs import pairs_text, write_people

COUNT = 30
COMPILED = {
    "c": ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Ipeople-c/src", "own.c"],
    "javascript": ["node", "own.mjs"],
}
"""What is run with each example in another language, which is written to the last file."""


def write_identities(folder: Path, count: int) -> Path:
    """Write folders of identities, and a file of pairs next to them."""
    (folder.parent / "pairs.txt").write_text(pairs_text(count // 2), encoding="utf-8")
    return write_people(folder, count // 2, 4)


PAGES: dict[str, tuple[str, Callable[[Path, int], Path]]] = {
    "detection": ("street", write_boxes),
    "segmentation": ("cells", write_masks),
    "regression": ("houses", write_numbers),
    "multilabel": ("things", write_labels),
    "identity": ("people", write_identities),
    "self-supervised": ("photos", write_identities),
}


def commands(page: Path) -> list[str]:
    return re.findall(r"^    opsin (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_examples_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, write = PAGES[name]
    write(tmp_path / folder, COUNT)
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / f"{name}.md"
    for command in commands(page):
        if command not in (
            f"train {folder}",
            f"train {folder} --task {name}",
        ):  # what the page begins with, and says again with a number of epochs
            code = run(shlex.split(command))
            assert code == 0, f"{command}\n{''.join(capfd.readouterr())}"
    capfd.readouterr()
    names: dict[str, object] = {"__name__": "example"}
    for example in code_blocks(page):
        example.run(names)
    assert capfd.readouterr().out.strip()
    for language, command in COMPILED.items():
        for block in code_blocks(page, language):
            if shutil.which(command[0]):
                (tmp_path / command[-1]).write_text(block.code, encoding="utf-8")
                subprocess.run(command, check=True, timeout=60)


def test_the_options_exist(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("train", "data check", "data show", "predict", "evaluate", "identify", "gallery add", "ship"):
        run([*command.split(), "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capfd.readouterr().out))
    for name in PAGES:
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
        assert named and named <= known, named - known
