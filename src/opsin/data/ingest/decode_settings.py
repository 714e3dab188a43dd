"""How the images of a data set are decoded, and a view that decodes them on each access."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import prod

import numpy as np
import PIL
from numpy.typing import NDArray

from opsin.data.decode import DecodedImage, Framing, PixelRange, decode_image
from opsin.data.items import Source
from opsin.data.machine_code import has_compiler
from opsin.data.parallel import for_each
from opsin.data.pixels import ImageView

DECODER_VERSION = 2
"""Incremented when images are decoded differently; cached data of other versions is ignored."""


@dataclass(frozen=True)
class DecodeSettings:
    """The result of decoding: `shape` is channels, height and width.

    The values of `pixel_range` become black and white in images with more than eight bits; None if the range is not
    known yet.
    """

    shape: tuple[int, int, int]
    crop: Framing | None = None
    pixel_range: PixelRange | None = None

    @property
    def stride(self) -> int:
        """Bytes of a decoded image."""
        return prod(self.shape)

    @property
    def key(self) -> str:
        """A name that differs if the pixels of 8-bit images may differ."""
        key = "x".join(map(str, self.shape)) + "-" + short_digest(str(self.crop))[:12]
        return key if has_compiler() else f"{key}-pillow"

    def read(self, data: bytes, name: str) -> DecodedImage:
        return decode_image(data, name, self.shape, self.crop, self.pixel_range)

    def store_key(self, digest: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the key of an image with more than eight bits in the store: its pixels depend on the range, too."""
        low, high = self.pixel_range or (0.0, 0.0)
        mixed = blake2b(digest.tobytes() + f"{low!r} {high!r}".encode(), digest_size=digest.size)
        return np.frombuffer(mixed.digest(), np.uint8)


class OnDemandImages(ImageView):
    """Images that are decoded on each access, with only their first `channels`; for data that fits nowhere else."""

    def __init__(self, source: Source, items: NDArray[np.intp], settings: DecodeSettings, channels: int) -> None:
        super().__init__(len(items), (channels, *settings.shape[1:]))
        self.source, self.items, self.settings = source, items, settings

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)

        def fill(row: int) -> None:
            index = int(self.items[indices[row]])
            name = self.source.items[index].name
            pixels[row] = self.settings.read(self.source.read(index), name).pixels[: self.shape[1]]

        for_each(fill, range(len(indices)))
        return pixels

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return OnDemandImages(self.source, self.items[indices], self.settings, self.shape[1])


def short_digest(text: str) -> str:
    """Return a name for `text` that also depends on the versions of this package's decoder and of Pillow."""
    key = f"{text}\0{DECODER_VERSION}\0{PIL.__version__}".encode("utf-8", "surrogateescape")
    return blake2b(key, digest_size=12).hexdigest()
