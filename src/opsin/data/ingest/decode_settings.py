"""How images are decoded in an intake, and a view that decodes them each time they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import prod

import numpy as np
import PIL
from numpy.typing import NDArray

from opsin.data.decode import Crop, DecodedImage, PixelRange, decode_image
from opsin.data.items import Source
from opsin.data.parallel import for_each
from opsin.data.pixels import ImageView

PIPELINE_VERSION = 2
"""Of the way in which images are read; what another version kept is not used."""


@dataclass(frozen=True)
class DecodeSettings:
    """What images become: `shape` is channels, height and width, `pixel_range` the values that become black and white
    in images of more than eight bits; None: that is not known yet.
    """

    shape: tuple[int, int, int]
    crop: Crop | None = None
    pixel_range: PixelRange | None = None

    @property
    def stride(self) -> int:
        """Bytes of an image."""
        return prod(self.shape)

    @property
    def key(self) -> str:
        """Differs where the pixels of eight bits could."""
        return "x".join(map(str, self.shape)) + "-" + short_digest(str(self.crop))[:12]

    def read(self, data: bytes, name: str) -> DecodedImage:
        return decode_image(data, name, self.shape, self.crop, self.pixel_range)

    def store_key(self, digest: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the store knows an image of more than eight bits by: its pixels depend on the range, too."""
        low, high = self.pixel_range or (0.0, 0.0)
        mixed = blake2b(digest.tobytes() + f"{low!r} {high!r}".encode(), digest_size=digest.size)
        return np.frombuffer(mixed.digest(), np.uint8)


class OnDemandImages(ImageView):
    """The first `channels` of the items' images, decoded anew each time: where there is no room for them anywhere."""

    def __init__(self, source: Source, items: NDArray[np.intp], decoding: DecodeSettings, channels: int) -> None:
        super().__init__(len(items), (channels, *decoding.shape[1:]))
        self.source, self.items, self.decoding = source, items, decoding

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        pixels = np.empty((len(numbers), *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            index = int(self.items[numbers[place]])
            name = self.source.items[index].name
            pixels[place] = self.decoding.read(self.source.read(index), name).pixels[: self.shape[1]]

        for_each(fill, range(len(numbers)))
        return pixels

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        return OnDemandImages(self.source, self.items[numbers], self.decoding, self.shape[1])


def short_digest(text: str) -> str:
    """A name for `text` that differs from version to version of this room and of Pillow."""
    whole = f"{text}\0{PIPELINE_VERSION}\0{PIL.__version__}".encode("utf-8", "surrogateescape")
    return blake2b(whole, digest_size=12).hexdigest()
