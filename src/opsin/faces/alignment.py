"""Align faces: turn, scale and move them, so that eyes, nose and mouth are where a network expects them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from opsin.base.concurrency import locked_cache
from opsin.base.errors import UsageError
from opsin.data.augment.warp import Warper
from opsin.data.decode import Stretch

Floats = NDArray[np.float64]

MARGIN = 2
"""Pixels of the result around an image's part that is resized before it is turned: what a filter reads."""


@dataclass(frozen=True)
class Template:
    """Where the five landmarks of a face lie in an aligned image: (x, y) as shares of the side of a square."""

    name: str
    points: tuple[tuple[float, float], ...]

    def pixels(self, size: tuple[int, int]) -> Floats:
        """Return the landmarks, 5 × (x, y), in an image of this height and width; the square is in its middle."""
        height, width = size
        side = min(size)
        return np.array(self.points) * side + np.array([width - side, height - side]) / 2


ARCFACE = Template(
    "arcface", ((0.3419, 0.4616), (0.6565, 0.4598), (0.5002, 0.6405), (0.3710, 0.8247), (0.6315, 0.8232))
)
"""The usual one: that of ArcFace (Deng et al. 2019) and, without its margins, of SphereFace, in 112 × 112 pixels."""

DLIB = Template("dlib", ((0.3170, 0.3107), (0.6698, 0.3107), (0.4934, 0.5104), (0.3361, 0.6868), (0.6507, 0.6868)))
"""That of dlib's network: means of the landmarks of dlib's mean face, with its margin of a quarter."""

TEMPLATES = {template.name: template for template in (ARCFACE, DLIB)}


def similarity(source: ArrayLike, target: ArrayLike) -> Floats:
    """Return the 2 × 3 matrix of the similarity transform that maps N points (x, y) to others with least squares.

    It turns, scales and moves, and does not mirror: Umeyama, "Least-squares estimation of transformation parameters
    between two point patterns", 1991. With points of the plane as complex numbers it is z → a z + b, and a is a linear
    regression. Raise `UsageError` unless there are two different points and as many targets.
    """
    x, y = (np.asarray(points, np.float64) for points in (source, target))
    if x.ndim != 2 or x.shape[1] != 2 or x.shape != y.shape:
        raise UsageError(f"a similarity maps N × 2 numbers to N × 2, not {x.shape} to {y.shape}")
    z, w = (points[:, 0] + 1j * points[:, 1] for points in (x, y))
    centred = z - z.mean()
    spread = float((abs(centred) ** 2).sum())
    if not np.isfinite([x, y]).all() or not spread > 0:
        raise UsageError("a similarity needs two different points; these landmarks are all the same, or not finite")
    a = (centred.conj() * (w - w.mean())).sum() / spread
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def inverse(matrix: Floats) -> Floats:
    """Return the inverse of an affine map, 2 × 3. Raise `UsageError` if it has none."""
    try:
        linear = np.linalg.inv(matrix[:, :2])
    except np.linalg.LinAlgError:
        raise UsageError("these landmarks do not determine a face; all targets are the same point") from None
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def align(
    image: Image.Image, landmarks: ArrayLike, size: tuple[int, int] = (112, 112), template: Template = ARCFACE
) -> Image.Image:
    """Return a face as an RGB image of this height and width, in which the landmarks lie as in the template.

    `landmarks` are 5 × (x, y) in pixels of the image. Large faces are made smaller by a filter and then turned by
    bilinear interpolation. The edge pixels of the image are repeated outside it.
    """
    to_image = inverse(similarity(landmarks, template.pixels(size)))
    pixels, shrink = _neighbourhood(image.convert("RGB"), to_image, size)
    (xx, xy, x0), (yx, yy, y0) = shrink @ np.vstack([to_image, [0, 0, 1]])
    # Pixels have their centres at 1/2, and the kernel counts from the centres.
    maps = [[(yx + yy) / 2 + y0 - 0.5, yy, yx, (xx + xy) / 2 + x0 - 0.5, xy, xx]]
    values = _warper()(
        pixels[None], size, np.array(maps, np.float32), np.zeros((1, 3, 4), np.float32), np.zeros((1, 4), np.int32)
    )
    return Image.fromarray(np.rint(values[0].transpose(1, 2, 0)).astype(np.uint8))


def _neighbourhood(image: Image.Image, to_image: Floats, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Floats]:
    """Return the part of an image that an aligned face shows, uint8 3×H×W, and the map 2 × 3 from the image to it.

    It is made smaller if the aligned face has fewer pixels.
    """
    height, width = size
    scale = float(np.sqrt(abs(np.linalg.det(to_image[:, :2]))))  # pixels of the image for one of the result
    corners = np.array([(x, y, 1) for x in (0, width) for y in (0, height)]) @ to_image.T
    reach = MARGIN * max(scale, 1.0)
    low, high = (corners.min(axis=0) - reach), (corners.max(axis=0) + reach)
    left, right = _within(low[0], high[0], image.width)
    top, bottom = _within(low[1], high[1], image.height)
    rows, columns = (max(1, ceil(length / max(scale, 1.0))) for length in (bottom - top, right - left))
    pixels = Stretch().apply(image.crop((left, top, right, bottom)), rows, columns)
    x_scale, y_scale = columns / (right - left), rows / (bottom - top)
    return pixels, np.array([[x_scale, 0, -left * x_scale], [0, y_scale, -top * y_scale]])


def _within(low: float, high: float, length: int) -> tuple[int, int]:
    """Return whole pixels around a range, at least one, inside an image of this length."""
    first = min(max(0, floor(low)), length - 1)
    return first, min(max(first + 1, ceil(high)), length)


@locked_cache()
def _warper() -> Warper:
    return Warper(np.ones(3, np.float32), np.zeros(3, np.float32), bilinear=True, colour=False)
