"""`opsin.ship`: formats, options, paths, and equal bytes."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

import opsin
from opsin.base.atomic import atomic_file
from opsin.base.errors import UsageError
from opsin.export.api import check_target
from opsin.export.c.format import C
from opsin.export.format import Format
from opsin.export.js.format import JS
from opsin.export.registry import FORMATS, find
from opsin.model import Model


def _export(model: Model, *, level: int = 1) -> dict[str, bytes]:
    return {"a.txt": b"a" * level, "sub/b.txt": b"b"}


FOLDER = Format("folder", "a folder of letters", "", _export)


@pytest.fixture
def with_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.export.registry.FORMATS", (FOLDER,))


def test_an_unknown_format_is_refused_with_the_known_ones(digits: Model) -> None:
    with pytest.raises(UsageError, match=r"no format 'exe' .*the formats are web \(a page"):
        opsin.ship(digits, "exe")
    assert [find(each.name) for each in FORMATS] == list(FORMATS)


def test_an_unknown_option_is_refused(digits: Model, with_folder: None) -> None:
    with pytest.raises(UsageError, match="the format folder takes no size; its options are level"):
        opsin.ship(digits, "folder", size=3)
    assert opsin.ship(digits, "folder", level=3).files["a.txt"] == b"aaa"


def test_a_folder_is_written_and_replaced(digits: Model, with_folder: None, tmp_path: Path) -> None:
    export = opsin.ship(digits, "folder", tmp_path / "new" / "letters")
    assert export.default_path == "digits-folder" and export.size == 2
    opsin.ship(digits, "folder", tmp_path / "new" / "letters", level=2)
    files = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert sorted((path.name, path.read_text()) for path in files) == [("a.txt", "aa"), ("b.txt", "b")]
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match="is a file, but a folder of letters is a folder"):
        opsin.ship(digits, "folder", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_with_other_files_is_left_alone(digits: Model, with_folder: None, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("kept")
    with pytest.raises(UsageError, match=r"is not empty, .* which would have a file a\.txt; choose another folder"):
        opsin.ship(digits, "folder", tmp_path)
    (tmp_path / "a.txt").write_text("of another model")
    with pytest.raises(UsageError, match=r"would have a file sub/b\.txt"):
        opsin.ship(digits, "folder", tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "own.txt": "kept", "a.txt": "of another model",
    }  # fmt: skip
    for form in (C, JS):
        with pytest.raises(UsageError, match=f"would have a file {form.main_file}"):
            check_target(form, tmp_path)
    with pytest.raises(UsageError, match="the export's path must be a path, not ''"):
        opsin.ship(digits, "folder", "")


def test_files_that_belong_together_are_all_written_or_none(
    digits: Model, with_folder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = opsin.ship(digits, "folder", tmp_path / "old")

    def full(path: Path) -> AbstractContextManager[BinaryIO]:
        if path.name == "b.txt":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return atomic_file(path)

    monkeypatch.setattr("opsin.base.atomic.atomic_file", full)
    for name in ("old", "new"):
        with pytest.raises(UsageError, match=f"{name} cannot be written: No space left on device; choose another path"):
            opsin.ship(digits, "folder", tmp_path / name, level=2)
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"old/{name}": content for name, content in export.files.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_file_needs_the_suffix_of_its_format(digits: Model, tmp_path: Path) -> None:
    for name in ("digits.opsin", "digits"):
        with pytest.raises(UsageError, match=r"is a file digits\.html"):
            opsin.ship(digits, "web", tmp_path / name)
    with pytest.raises(UsageError, match=r"is a folder; name a file, such as .*model\.html"):
        opsin.ship(digits, "web", tmp_path)
    with pytest.raises(UsageError, match=r"there is no folder .*missing; create it, or choose another path"):
        opsin.ship(digits, "web", tmp_path / "none" / "missing" / "digits.html")
    assert not list(tmp_path.iterdir())


def test_equal_models_give_equal_bytes(digits_file: Path) -> None:
    for form in FORMATS:
        first, second = (opsin.ship(opsin.load(digits_file), form.name).files for _ in range(2))
        assert first == second
