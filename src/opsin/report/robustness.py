"""How a model does on worse images: blurred, noisy, darker, brighter, compressed, turned; three strengths of each.

After Hendrycks & Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
2019, with milder strengths, as amateurs' cameras have them, and relative to the size of the image.
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
from opsin.data import LabeledImages
from opsin.model import Model
from opsin.report.statistics import Share

SPOILING, SAMPLING = 103, 104
"""What random numbers are for (see `opsin.base.random_counter`)."""

MOST = 400
"""More images would tell little more."""
LEAST = 30
"""With fewer images than this, what they say is mostly chance, and is left out."""

SMALL = 64
"""On smaller images a blur relative to their size would move nothing."""

Pixels = NDArray[np.uint8]
Spoil = Callable[[Pixels, int], Pixels]


def blur(share: float, image: Pixels, number: int) -> Pixels:
    """Gaussian blur with a standard deviation of `share` of the shorter side, or of `SMALL` pixels if that is less."""
    radius = share * max(SMALL, min(image.shape[1:]))
    return _array(_image(image).filter(ImageFilter.GaussianBlur(radius)), image)


def noise(deviation: float, image: Pixels, number: int) -> Pixels:
    """Independent normal noise of this standard deviation on the values 0…255, the same for each run."""
    random = np.random.Generator(np.random.Philox(key=[number, SPOILING]))
    return _rounded(image + random.normal(0, deviation, image.shape))


def light(factor: float, image: Pixels, number: int) -> Pixels:
    """Values times `factor`."""
    return _rounded(image * factor)


def jpeg(quality: int, image: Pixels, number: int) -> Pixels:
    """Saved as JPEG of this quality, and read again."""
    file = BytesIO()
    _image(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return _array(opened, image)


def turn(degrees: float, image: Pixels, number: int) -> Pixels:
    """Turned, every other one the other way; beyond the border the image goes on as its mirror image."""
    rows, columns = (min(side // 2, side - 1) for side in image.shape[1:])
    wide = np.pad(image, ((0, 0), (rows, rows), (columns, columns)), "symmetric")
    angle = degrees if number % 2 else -degrees
    turned = _array(_image(wide).rotate(angle, Image.Resampling.BILINEAR), wide)
    return turned[:, rows : rows + image.shape[1], columns : columns + image.shape[2]]


KINDS: tuple[tuple[str, tuple[tuple[str, Spoil], ...]], ...] = (
    ("blurred", tuple((f"{100 * share:g}% of the side", partial(blur, share)) for share in (0.005, 0.01, 0.02))),
    ("noisy", tuple((f"± {size}", partial(noise, size)) for size in (10, 25, 50))),
    ("darker", tuple((f"× {factor}", partial(light, factor)) for factor in (0.7, 0.5, 0.3))),
    ("brighter", tuple((f"× {factor}", partial(light, factor)) for factor in (1.3, 1.6, 2.0))),
    ("compressed", tuple((f"JPEG quality {quality}", partial(jpeg, quality)) for quality in (50, 25, 10))),
    ("turned", tuple((f"{degrees}°", partial(turn, degrees)) for degrees in (5, 15, 30))),
)


@dataclass(frozen=True)
class CorruptedImages:
    """Accuracy on images spoilt in a way, at each strength (a text such as "× 0.5")."""

    kind: str
    strengths: tuple[tuple[str, Share], ...]


@dataclass(frozen=True)
class Robustness:
    """Accuracy on the same images `clean` and spoilt; `of` so many held-out ones, of which they are a sample."""

    clean: Share
    of: int
    kinds: tuple[CorruptedImages, ...]

    def to_data(self) -> dict[str, Any]:
        kinds = [
            {"kind": each.kind, "strengths": [{"strength": s, **share.to_data()} for s, share in each.strengths]}
            for each in self.kinds
        ]
        return {"clean": self.clean.to_data(), "of": self.of, "kinds": kinds}


def robustness(model: Model, images: LabeledImages, seconds: float) -> Robustness | None:
    """How `model` does on a sample of `images`, as large as fits into `seconds`; None where that is too small."""
    order = random_counter.order(len(images), 0, SAMPLING)[:MOST]
    runs = 1 + sum(len(strengths) for _, strengths in KINDS)
    if len(order) < LEAST:
        return None
    model.logits(images.pixels[order[:LEAST]])  # compiles what is not compiled yet
    begin = perf_counter()
    _right(model, images.take(order[:LEAST]), partial(blur, 0.01))
    each = (perf_counter() - begin) / LEAST
    count = min(len(order), int(seconds / (runs * each)))
    if count < LEAST:
        return None
    sample = images.take(np.sort(order[:count]))
    kinds = tuple(
        CorruptedImages(kind, tuple((name, _right(model, sample, spoil)) for name, spoil in strengths))
        for kind, strengths in KINDS
    )
    return Robustness(_right(model, sample, None), len(images), kinds)


def _right(model: Model, images: LabeledImages, spoil: Spoil | None) -> Share:
    pixels = images.pixels[:]
    if spoil is not None:
        with ThreadPoolExecutor(processors()) as pool:
            pixels = np.stack(list(pool.map(spoil, pixels, range(len(pixels)))))
    answers = model.logits(pixels).argmax(axis=1)
    return Share(int((answers == model.numbers(images)).sum()), len(pixels))


def _rounded(values: NDArray[Any]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _image(image: Pixels) -> Image.Image:
    """uint8 C×H×W as Pillow has it; one channel is grey, three are RGB."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def _array(image: Image.Image, like: Pixels) -> Pixels:
    values = np.asarray(image, np.uint8)
    return values[None] if len(like) == 1 else np.ascontiguousarray(values.transpose(2, 0, 1))
