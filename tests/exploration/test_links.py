"""Class folders of links: what they hold, and that nothing is overwritten or left half done."""

from __future__ import annotations

from pathlib import Path

import pytest

import opsin
from opsin.base.errors import UsageError
from opsin.exploration.api import Exploration
from opsin.exploration.links import write_class_folders


def test_the_groups_become_classes(exploration: Exploration, tmp_path: Path) -> None:
    place = tmp_path / "labelled"
    assert exploration.label(place)
    links = [path for path in place.rglob("*") if not path.is_dir()]
    assert len(links) == len(exploration.images) and all(path.is_symlink() for path in links)
    assert {path.resolve() for path in links} == {
        exploration.images.file(n).resolve() for n in range(len(exploration.images))
    }
    for group, name in zip(exploration.groups, ("one", "two", "three"), strict=True):
        (place / group.name).rename(place / name)
    data = opsin.data.load(place, cache_size=0)
    assert set(data.classes) == {"one", "two", "three"}
    assert sum(len(split) for split in data.splits.values()) == len(links)


def test_images_are_copied_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"content")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert not write_class_folders(tmp_path / "out", {"g": [("a.png", image)]})
    copy = tmp_path / "out" / "g" / "a.png"
    assert not copy.is_symlink() and copy.read_bytes() == b"content"


def test_equal_names_become_different(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("x", "y", "z")]
    for file in files:
        file.write_text(file.name, encoding="utf-8")
    names = ["a/b.jpg", "a_b.jpg", "a_b-2.jpg"]
    write_class_folders(tmp_path / "out", {"g": list(zip(names, files, strict=True))})
    content = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "g").iterdir()}
    assert content == {"a_b.jpg": "x", "a_b-2.jpg": "y", "a_b-2-2.jpg": "z"}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling", "."):
        with pytest.raises(UsageError, match="exists, and nothing in it is overwritten"):
            write_class_folders(tmp_path / name, {})
    with pytest.raises(UsageError, match="there is no folder"):
        write_class_folders(tmp_path / "none" / "out", {})
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


def test_after_an_interruption_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "symlink_to", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_class_folders(tmp_path / "out", {"g": [("a.png", tmp_path / "a.png")]})
    assert list(tmp_path.iterdir()) == []
