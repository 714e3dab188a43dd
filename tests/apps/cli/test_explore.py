"""`opsin explore` and `opsin similar`: what they print, the files they write, and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.exploration.folders import untrained_model, write_copies, write_kinds


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a model."""
    path = tmp_path_factory.mktemp("work")
    write_copies(write_kinds(path / "photos", 5))
    (path / "photos" / "empty.png").touch()
    untrained_model().save(path / "small.opsin")
    return path


@pytest.fixture(autouse=True)
def in_work(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("OPSIN_CACHE", str(work / "cache"))


def test_explore_writes_page_and_class_folders(cli: Any, work: Path) -> None:
    arguments = ("explore", "photos", "--model", "small.opsin", "--groups", 3)
    code, out, err = cli(*arguments, "--label", "labelled")
    assert (code, err) == (0, "Warning: left out: empty.png: empty\n")
    lines = out.splitlines()
    assert lines[0].startswith("photos: 20 images in 3 groups, 5 near-duplicates, ")
    assert lines[1].startswith("The images were divided into 3 groups, ") and "as many as were asked for" in lines[1]
    assert [line.split()[0] for line in lines[2:6]] == ["group", "group-01", "group-02", "group-03"]
    assert "    opsin train labelled" in lines and lines[-1].startswith("explore.html is the page, ")
    assert sorted(path.name for path in (work / "labelled").iterdir()) == ["group-01", "group-02", "group-03"]
    again = cli(*arguments, "--label", "labelled")
    assert again.code == 2 and "labelled exists, and nothing in it is overwritten" in again.err
    assert cli(*arguments).code == 0


def test_explore_as_json_writes_no_page(cli: Any, work: Path) -> None:
    code, out, _ = cli("explore", "photos", "--model", "small.opsin", "--json", "--out", "none.html", "--no-cache")
    data = json.loads(out)
    assert code == 0 and data["images"] == 20 and {"groups", "near_duplicates", "outliers", "left_out"} <= data.keys()
    assert not (work / "none.html").exists()


def test_similar_lists_files(cli: Any) -> None:
    arguments = ("similar", "photos/day0/000.png", "photos", "--model", "small.opsin", "--top", 3)
    code, out, _ = cli(*arguments)
    lines = out.splitlines()
    assert code == 0 and len(lines) == 3 and lines[0].split() == ["1.000", "photos/again.png"]
    data = json.loads(cli(*arguments, "--json").out)
    assert data[0]["image"] == "photos/again.png" and data[0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_bad_requests_are_refused(cli: Any) -> None:
    model = ("--model", "small.opsin")
    assert "call it page.html instead of page.txt" in cli("explore", "photos", "--out", "page.txt", *model).err
    assert "there is no such folder" in cli("explore", "nowhere", *model).err
    assert "cannot form 99 groups" in cli("explore", "photos", "--groups", 99, *model).err
    assert "there is no folder nowhere" in cli("explore", "photos", "--label", "nowhere/x", *model).err
    assert cli("similar", "photos/empty.png", "photos", *model).code == 1
