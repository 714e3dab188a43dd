"""The answer of a network for one image: the class of each pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from opsin.base.errors import DataError
from opsin.base.formatting import percent
from opsin.tasks.segmentation import rle
from opsin.tasks.segmentation.coding import IGNORE, MAX_CLASSES, Ids
from opsin.tasks.segmentation.colours import WHITE, colour_of
from opsin.tasks.segmentation.targets import resized

Floats = NDArray[np.float32]

MAX_NAMED_CLASSES = 6
"""Classes that the answer names in one line."""

STRIP_VALUES = 2**22
"""Logits that are computed at once while they are resized, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The class ids of an image's pixels, uint8 H × W, and the share of the image that each class covers.

    Pixels that do not count, 255, occur in masks only and belong to no share. `confidence` is the share of the pixels
    that is expected to be right; None if the model has no calibration. `probabilities`, C × H × W, are there only if
    they were asked for.
    """

    classes: tuple[str, ...]
    ids: Ids
    shares: tuple[float, ...]
    confidence: float | None = None
    probabilities: Floats | None = None

    @classmethod
    def of(
        cls,
        logits: NDArray[Any],
        size: tuple[int, int],
        classes: Sequence[str],
        *,
        temperature: float | None = None,
        probabilities: bool = False,
    ) -> Segmentation:
        """Return the answer for an image of `size` (height, width) from its logits C × h × w.

        The logits are resized bilinearly; then each pixel gets the class of the largest. Probabilities are those of
        logits / `temperature`, and so is the confidence, which there is only with a temperature. Raise `DataError` if
        the number of classes is not that of the logits.
        """
        if logits.ndim != 3 or len(logits) != len(classes) or len(classes) > MAX_CLASSES:
            raise DataError(f"logits {logits.shape} for {len(classes)} classes; expected C × h × w and C names")
        ids = np.empty(size, np.uint8)
        maps = np.empty((len(classes), *size), np.float32) if probabilities else None
        scores: Floats = logits.astype(np.float32, copy=False)
        for rows, strip in _strips(scores, size):
            ids[rows] = strip.argmax(0)
            if maps is not None:
                maps[:, rows] = softmax(strip, temperature or 1.0)
        confidence = None if temperature is None else float(softmax(scores, temperature).max(0).mean())
        return cls(tuple(classes), ids, _shares(ids, len(classes)), confidence, maps)

    @classmethod
    def of_ids(cls, ids: Ids, classes: Sequence[str]) -> Segmentation:
        """Return class ids H × W, such as those of a mask, in the form of an answer."""
        return cls(tuple(classes), ids, _shares(ids, len(classes)))

    def at_size(self, size: tuple[int, int]) -> Segmentation:
        """Return the answer at another size (height, width), by the nearest pixels and without probabilities."""
        if self.ids.shape == size:
            return self
        return Segmentation(self.classes, resized(self.ids, size), self.shares, self.confidence)

    def summary(self) -> str:
        """Return the answer in a few words."""
        return str(self)

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON: each class that occurs, with its mask as a compressed run-length code of COCO."""
        numbers = [number for number, share in enumerate(self.shares) if share > 0]
        rows = [
            {"class": self.classes[number], "share": self.shares[number], "segmentation": self._code(number)}
            for number in numbers
        ]
        size = {"height": self.ids.shape[0], "width": self.ids.shape[1]}
        return {**size, "classes": rows, "confidence": self.confidence}

    def _code(self, number: int) -> dict[str, Any]:
        code = rle.compress(rle.encode(self.ids == number)).decode("ascii")
        return {"size": list(self.ids.shape), "counts": code}

    def __str__(self) -> str:
        rows = sorted(zip(self.shares, self.classes, strict=True), key=lambda row: -row[0])
        named = [f"{name} {percent(share)}" for share, name in rows if share > 0]
        more = ", …" if len(named) > MAX_NAMED_CLASSES else ""
        return ", ".join(named[:MAX_NAMED_CLASSES]) + more

    def to_png(self) -> bytes:
        """Return a PNG whose palette indices are the class ids; its text "classes" is a JSON list of their names."""
        image = Image.fromarray(self.ids)
        image.putpalette(palette())
        text = PngInfo()
        text.add_itxt("classes", json.dumps(list(self.classes), ensure_ascii=False))
        file = BytesIO()
        image.save(file, "PNG", pnginfo=text)
        return file.getvalue()


def palette() -> bytes:
    """Return the colours of all class ids, 256 × (red, green, blue); ignored pixels are white."""
    return bytes(value for i in range(256) for value in (WHITE if i == IGNORE else colour_of(i)))


def _shares(ids: Ids, classes: int) -> tuple[float, ...]:
    counts = np.bincount(ids.reshape(-1), minlength=IGNORE + 1)[:classes]
    return tuple((counts / max(1, counts.sum())).tolist())


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return the softmax of `logits` / `temperature` over the first axis."""
    powers = np.exp((logits - logits.max(0)) * np.float32(1 / temperature))
    shares: Floats = powers / powers.sum(0)
    return shares


def _strips(logits: Floats, size: tuple[int, int]) -> Iterator[tuple[slice, Floats]]:
    """Yield rows of the logits at another size, C × rows × W, by bilinear interpolation between pixel centres."""
    (above, below, down), (left, right, across) = (
        _neighbours(old, new) for old, new in zip(logits.shape[1:], size, strict=True)
    )
    step = max(1, STRIP_VALUES // max(1, len(logits) * size[1]))
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        weight = down[rows, None]
        lines: Floats = logits[:, above[rows]] * (1 - weight) + logits[:, below[rows]] * weight
        strip: Floats = lines[..., left] * (1 - across) + lines[..., right] * across
        yield rows, strip


def _neighbours(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return the old pixels on both sides of each new centre, and the weight of the second."""
    centre = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    first = np.floor(centre).astype(np.intp)
    return first, np.minimum(first + 1, old - 1), (centre - first).astype(np.float32)
