"""Resize images that come as arrays in the same way as image files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import UsageError
from opsin.data.dataset import Dataset, Samples
from opsin.data.decode.fit import Framing, fit
from opsin.data.ingest.decode import fits_in_memory
from opsin.data.parallel import for_each
from opsin.data.pixels import ImageView, Pixels


class Resized(ImageView):
    """`pixels` (uint8 N×C×H×W, 1 or 3 channels) resized to `shape` (C×H×W) on each access."""

    def __init__(self, pixels: Pixels, shape: tuple[int, int, int], crop: Framing | None) -> None:
        super().__init__(len(pixels), shape)
        self.pixels, self.crop = pixels, crop

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        originals = self.pixels[indices]
        resized = np.empty((len(indices), *self.shape[1:]), np.uint8)
        _, channels, height, width = self.shape

        def fill(row: int) -> None:
            planes = originals[row]
            image = Image.fromarray(planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0)))
            image = image.convert("L" if channels == 1 else "RGB")
            resized[row] = self.crop.apply(image, height, width) if self.crop else fit(image, height, width)

        for_each(fill, range(len(indices)))
        return resized

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return Resized(self.pixels.take(indices) if isinstance(self.pixels, ImageView) else self.pixels[indices],
                       (self.shape[1], self.shape[2], self.shape[3]), self.crop)  # fmt: skip


def resized(data: Dataset, shape: tuple[int, int, int], crop: Framing | None) -> Dataset:
    """Return `data` with its images resized to `shape` (C×H×W), in memory if they fit.

    Raise `UsageError` if they have neither 1 nor 3 channels.
    """
    if data.shape == shape:
        return data
    if data.shape[0] not in (1, 3):
        raise UsageError(
            f"{data.name} has {data.shape[0]} channels, but only grey and RGB images can be resized; omit the size "
            "and published weights"
        )

    def resize(images: Samples) -> Samples:
        view = Resized(images.pixels, shape, crop)
        pixels = view[:] if fits_in_memory(data.train.pixels) and fits_in_memory(view) else view
        return images.changed(pixels, images.targets, images.names)

    return replace(
        data,
        train=resize(data.train),
        test=None if data.test is None else resize(data.test),
        validation=None if data.validation is None else resize(data.validation),
        receipt=data.receipt and replace(data.receipt, shape=shape),
        content=data.fingerprint,
    )
