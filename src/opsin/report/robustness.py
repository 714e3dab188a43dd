"""Robustness: accuracy on blurred, noisy, darker, brighter, compressed and rotated images, at three severities each.

After Hendrycks & Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
2019, with milder severities, typical of consumer cameras, and relative to the size of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from opsin.base import random_counter
from opsin.base.processors import processors
from opsin.data import Samples
from opsin.model import Model
from opsin.report.statistics import Share
from opsin.report.thumbnails import ThumbnailStore

NOISE, SAMPLE = 103, 104
"""Purposes of random numbers (see `opsin.base.random_counter`)."""

MAX_CORRUPTED_IMAGES = 400
"""More images would hardly change the figures."""
MIN_CORRUPTED_IMAGES = 30
"""With fewer images the figures are mostly chance, and are left out."""

MIN_BLUR_SIDE = 64
"""Smaller images are blurred as if they had this side; a relative blur would have no effect."""

Pixels = NDArray[np.uint8]
Corruption = Callable[[Pixels, int], Pixels]
"""Corrupts an image (uint8 C×H×W), given its number."""


def blur(share: float, image: Pixels, number: int) -> Pixels:
    """Blur with a Gaussian of standard deviation `share` of the shorter side (at least `MIN_BLUR_SIDE`)."""
    radius = share * max(MIN_BLUR_SIDE, min(image.shape[1:]))
    return _to_array(_to_image(image).filter(ImageFilter.GaussianBlur(radius)), image)


def noise(deviation: float, image: Pixels, number: int) -> Pixels:
    """Add independent normal noise of this standard deviation to the values 0…255; it depends on `number` alone."""
    random = np.random.Generator(np.random.Philox(key=[number, NOISE]))
    return _round(image + random.normal(0, deviation, image.shape))


def brightness(factor: float, image: Pixels, number: int) -> Pixels:
    """Multiply the values by `factor`."""
    return _round(image * factor)


def jpeg(quality: int, image: Pixels, number: int) -> Pixels:
    """Compress the image as JPEG of this quality."""
    file = BytesIO()
    _to_image(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return _to_array(opened, image)


def rotate(degrees: float, image: Pixels, number: int) -> Pixels:
    """Rotate the image, those of odd numbers counterclockwise; mirror it beyond its borders."""
    rows, columns = (min(side // 2, side - 1) for side in image.shape[1:])
    padded_image = np.pad(image, ((0, 0), (rows, rows), (columns, columns)), "symmetric")
    angle = degrees if number % 2 else -degrees
    rotated_image = _to_array(_to_image(padded_image).rotate(angle, Image.Resampling.BILINEAR), padded_image)
    return rotated_image[:, rows : rows + image.shape[1], columns : columns + image.shape[2]]


Kinds = tuple[tuple[str, tuple[tuple[str, Corruption], ...]], ...]

CORRUPTIONS: Kinds = (
    ("blurred", tuple((f"{100 * share:g}% of the side", partial(blur, share)) for share in (0.005, 0.01, 0.02))),
    ("noisy", tuple((f"± {size}", partial(noise, size)) for size in (10, 25, 50))),
    ("darker", tuple((f"× {factor}", partial(brightness, factor)) for factor in (0.7, 0.5, 0.3))),
    ("brighter", tuple((f"× {factor}", partial(brightness, factor)) for factor in (1.3, 1.6, 2.0))),
    ("compressed", tuple((f"JPEG quality {quality}", partial(jpeg, quality)) for quality in (50, 25, 10))),
    ("rotated", tuple((f"{degrees}°", partial(rotate, degrees)) for degrees in (5, 15, 30))),
)
"""Kinds of corruption, each with its severities: their names, and the functions."""


@dataclass(frozen=True)
class CorruptedImages:
    """Accuracy on corrupted images at each severity, which is a text such as "× 0.5"."""

    kind: str
    severities: tuple[tuple[str, Share], ...]


@dataclass(frozen=True)
class Robustness:
    """Accuracy on a sample of `available` images, `clean` and corrupted."""

    clean: Share
    available: int
    kinds: tuple[CorruptedImages, ...]

    def to_data(self) -> dict[str, Any]:
        kinds = [
            {"kind": each.kind, "strengths": [{"strength": s, **share.to_data()} for s, share in each.severities]}
            for each in self.kinds
        ]
        return {"clean": self.clean.to_data(), "of": self.available, "kinds": kinds}


def measure_robustness(model: Model, images: Samples, seconds: float) -> Robustness | None:
    """Measure `model` on as large a sample of `images` as fits into `seconds`; return None if it is too small."""
    runs = 1 + sum(len(severities) for _, severities in CORRUPTIONS)
    sample = affordable_sample(images, seconds / runs, lambda part: _accuracy(model, part, partial(blur, 0.01)))
    if sample is None:
        return None
    kinds = tuple(
        CorruptedImages(kind, tuple((name, _accuracy(model, sample, corrupt)) for name, corrupt in severities))
        for kind, severities in CORRUPTIONS
    )
    return Robustness(_accuracy(model, sample, None), len(images), kinds)


def affordable_sample(images: Samples, seconds: float, measure: Callable[[Samples], object]) -> Samples | None:
    """Return as many images as `measure` takes about `seconds` for; None if they are too few.

    There are at most `MAX_CORRUPTED_IMAGES`.
    """
    order = random_counter.order(len(images), 0, SAMPLE)[:MAX_CORRUPTED_IMAGES]
    if len(order) < MIN_CORRUPTED_IMAGES:
        return None
    first = images.take(order[:MIN_CORRUPTED_IMAGES])
    measure(first)  # compiles what is not compiled yet
    begin = perf_counter()
    measure(first)
    seconds_per_image = (perf_counter() - begin) / MIN_CORRUPTED_IMAGES
    count = min(len(order), int(seconds / seconds_per_image))
    return images.take(np.sort(order[:count])) if count >= MIN_CORRUPTED_IMAGES else None


def corrupted(pixels: Pixels, corrupt: Corruption | None) -> Pixels:
    """Return N corrupted images, uint8 N×C×H×W; without a corruption the images themselves."""
    if corrupt is None:
        return pixels
    with ThreadPoolExecutor(processors()) as pool:
        return np.stack(list(pool.map(corrupt, pixels, range(len(pixels)))))


def corrupted_examples(pixels: Pixels, kinds: Kinds, thumbnails: ThumbnailStore) -> tuple[str, ...]:
    """Return the keys of an image's thumbnails under every corruption."""
    images = [corrupt(pixels, 1) for _, severities in kinds for _, corrupt in severities]
    return tuple(thumbnails.put(f"corrupted-{number}", each) for number, each in enumerate(images))


def _accuracy(model: Model, images: Samples, corrupt: Corruption | None) -> Share:
    pixels = corrupted(images.pixels[:], corrupt)
    answers = model.logits(pixels).argmax(axis=1)
    return Share(int((answers == model.label_indices(images)).sum()), len(pixels))


def _round(values: NDArray[Any]) -> Pixels:
    result: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return result


def _to_image(pixels: Pixels) -> Image.Image:
    """Return uint8 C×H×W as a Pillow image: grey for one channel, RGB for three."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _to_array(image: Image.Image, like: Pixels) -> Pixels:
    """Return a Pillow image as uint8 C×H×W, with as many channels as `like`."""
    values = np.asarray(image, np.uint8)
    return values[None] if len(like) == 1 else np.ascontiguousarray(values.transpose(2, 0, 1))
