"""The similarity transform against Umeyama's formula, and the pixels of aligned faces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from opsin.base.errors import UsageError
from opsin.faces import ARCFACE, DLIB, align, similarity
from tests.support import generator

Floats = NDArray[np.float64]

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def umeyama(x: Floats, y: Floats) -> Floats:
    """Return the transform by the singular values of the covariance: equations 38 to 42 of the paper."""
    centre, target = x.mean(0), y.mean(0)
    u, d, v = np.linalg.svd((y - target).T @ (x - centre) / len(x))
    sign = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    rotation = u @ sign @ v
    scale = np.trace(np.diag(d) @ sign) / ((x - centre) ** 2).sum(1).mean()
    return np.column_stack([scale * rotation, target - scale * rotation @ centre])


def test_the_transform_is_umeyamas() -> None:
    rng, determinants = generator("umeyama"), []
    for count in (2, 3, 5, 5, 5, 68):
        x, y = rng.standard_normal((2, count, 2))
        np.testing.assert_allclose(similarity(x, y), umeyama(x, y), atol=1e-9)
        determinants.append(np.linalg.det((y - y.mean(0)).T @ (x - x.mean(0))))
    assert min(determinants) < 0 < max(determinants)  # points that are mirrored, too: the transform turns all the same
    exact = np.array([[0.3, -0.4, 5], [0.4, 0.3, -2]])
    np.testing.assert_allclose(similarity(x, x @ exact[:, :2].T + exact[:, 2]), exact, atol=1e-12)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_that_determine_nothing(points: Floats) -> None:
    with pytest.raises(UsageError, match="two different points"):
        similarity(points, ARCFACE.pixels((112, 112)))
    with pytest.raises(UsageError, match="N × 2"):
        similarity(points[:4], ARCFACE.pixels((112, 112)))


@pytest.mark.parametrize(("scale", "angle"), [(0.5, 0.0), (1.0, 40.0), (5.0, -170.0)])
@pytest.mark.parametrize(("template", "size"), [(ARCFACE, (112, 112)), (DLIB, (60, 80))])
def test_landmarks_come_to_their_places(scale: float, angle: float, template: object, size: tuple[int, int]) -> None:
    points = template.pixels(size)  # type: ignore[attr-defined]
    turn = scale * np.exp(1j * np.deg2rad(angle))
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    landmarks = (points - points.mean(0)) @ matrix.T + [300.0, 350.0]
    image = Image.new("RGB", (640, 700), "white")
    canvas, radius = ImageDraw.Draw(image), max(2.0, 3 * scale)
    for (x, y), colour in zip(landmarks, COLOURS, strict=True):
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    result = np.asarray(align(image, landmarks, size, template))  # type: ignore[arg-type]
    assert result.shape == (*size, 3)
    for (x, y), colour in zip(points, COLOURS, strict=True):
        np.testing.assert_allclose(result[int(y), int(x)], colour, atol=60)
    assert (result[0, 0] == 255).all()


def test_unturned_faces_keep_their_pixels() -> None:
    pixels = generator("pixels").integers(0, 256, (112, 112, 3)).astype(np.uint8)
    result = np.asarray(align(Image.fromarray(pixels), ARCFACE.pixels((112, 112))))
    assert np.abs(result.astype(int) - pixels).max() <= 1


def test_edges_are_repeated_outside_the_image() -> None:
    image = Image.new("RGB", (40, 40), (10, 200, 30))
    result = np.asarray(align(image, ARCFACE.pixels((112, 112)) - 70))
    assert (result == (10, 200, 30)).all()
