"""What happens to an image before the network sees it, as data that a model file carries along."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.data.dataset import LabeledImages
from opsin.data.decode import INTERPOLATIONS, Crop, ImageSource, PixelRange, decode_image, decode_pil
from opsin.data.decode.bit_depth import is_dark, to_uint8, value_range
from opsin.data.ingest.messages import value_text
from opsin.data.pixels import ImageView, Pixels, chunks
from opsin.ir.arguments import instance

MAX_SAMPLE_IMAGES = 4096
"""Images of a data set on disk that mean and standard deviation are taken of."""

DARK_BORDER, LIGHT_BORDER = 64, 160
"""Mean values of an image's border below which it counts as dark, and above which as light."""


@dataclass(frozen=True)
class Preprocessing:
    """Images become `channels`×`height`×`width`, and each pixel value v (0…255) `(v/255 - mean) / std`.

    `dark_background` is set where the network learnt from light strokes on black, such as MNIST's:
    images read from files with a light border, such as ink on paper, are then inverted. `crop` says how an image
    file comes to that size; without it as much of the image is kept as fits. The two values of `pixel_range` are
    black and white in images of more than eight bits, as they were in those that the network learnt from.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dark_background: bool = False
    crop: Crop | None = None
    pixel_range: PixelRange | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @classmethod
    def of(cls, images: LabeledImages) -> Preprocessing:
        """Mean and standard deviation of each channel of `images`; of `MAX_SAMPLE_IMAGES` spread evenly, if they lie on disk."""
        instance("what is to be prepared", images, LabeledImages, "labelled images, such as data.train of a dataset")
        pixels, channels = _sample(images.pixels), images.shape[0]
        counts, dark_borders = np.zeros((channels, 256), np.int64), 0
        for chunk in chunks(pixels):
            counts += [np.bincount(chunk[:, channel].reshape(-1), minlength=256) for channel in range(channels)]
            dark_borders += int((border(chunk) < DARK_BORDER).sum())
        values = np.arange(256) / 255
        mean, std = [], []
        for share in counts / counts.sum(axis=1, keepdims=True):
            center = float(share @ values)
            mean.append(round(center, 4))
            std.append(max(round(float(share @ (values - center) ** 2) ** 0.5, 4), 1e-3))
        dark = channels == 1 and dark_borders / len(pixels) > 0.9
        return cls(*images.shape, tuple(mean), tuple(std), dark)

    @property
    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What a pixel value (0…255) of each channel is multiplied by, and what is then added."""
        scale = np.array([1 / (255 * s) for s in self.std], np.float32)
        shift = np.array([-m / s for m, s in zip(self.mean, self.std, strict=True)], np.float32)
        return scale, shift

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 N×C×H×W → float32 N×C×H×W."""
        scale, shift = self.scale_and_shift
        values = pixels.astype(np.float32)
        values *= scale.reshape(-1, 1, 1)
        values += shift.reshape(-1, 1, 1)
        return values

    def read(self, source: ImageSource | Image.Image, name: str) -> NDArray[np.uint8]:
        """An image, in a file or of Pillow's, as the network wants it, uint8 C×H×W; `DataError` where it is none."""
        reading = (name, self.shape, self.crop, self.pixel_range)
        read = decode_pil(source, *reading) if isinstance(source, Image.Image) else decode_image(source, *reading)
        if read.header.remark:
            warnings.warn(f"{name}: {read.header.remark}", UserWarning, stacklevel=2)
        if read.values:
            self._warn_about_range(name, read.header.depth, read.values)
        return _invert_light(read.pixels[None])[0] if self.dark_background else read.pixels

    def to_uint8(self, pixels: NDArray[Any], name: str) -> NDArray[Any]:
        """Arrays of other numbers as bytes, where a pixel range is known for them; others as they are."""
        if self.pixel_range is None or pixels.dtype == np.uint8 or pixels.dtype.kind not in "uif" or not pixels.size:
            return pixels
        self._warn_about_range(name, str(pixels.dtype), value_range(pixels))
        return to_uint8(pixels, self.pixel_range)

    def _warn_about_range(self, name: str, kind: str, values: PixelRange) -> None:
        """Warns where the image's values are not what the network learnt from."""
        low, high = (value_text(value) for value in values)
        text = f"{name} has {kind} values from {low} to {high}"
        if self.pixel_range is None:
            usual = (0.0, float(np.iinfo(kind).max)) if kind.startswith("uint") else None
            if usual and values[1] > usual[1] / 4:
                return
            text += ", and the model knows no pixel range for them, so that this image alone decides what is white"
        elif values[0] < self.pixel_range[0] or values[1] > self.pixel_range[1]:
            black, white = (value_text(value) for value in self.pixel_range)
            text += f"; the model knows {black} to {white}, and what lies outside is cut off"
        elif is_dark(values, self.pixel_range):
            black, white = (value_text(value) for value in self.pixel_range)
            text += f", nearly black for a model that knows {black} to {white}; it may be meant on another scale"
        else:
            return
        warnings.warn(text, UserWarning, stacklevel=3)

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Preprocessing:
        """What `to_data` wrote; `DataError` for anything else."""
        try:
            sizes = [int(data[key]) for key in ("channels", "height", "width")]
            mean, std = (tuple(float(value) for value in data[key]) for key in ("mean", "std"))
            cut = data.get("crop")
            crop = None if cut is None else Crop(int(cut["resize"]), str(cut["interpolation"]))
            given = data.get("pixel_range")
            pixel_range = None if given is None else (float(given[0]), float(given[1]))
            made = cls(sizes[0], sizes[1], sizes[2], mean, std, bool(data["dark_background"]), crop, pixel_range)
        except (KeyError, TypeError, ValueError, IndexError):
            raise DataError("the preprocessing is not described completely") from None
        sound = len(mean) == len(std) == made.channels and min(sizes) > 0 and np.isfinite(mean).all() and min(std) > 0
        if crop:
            sound &= max(sizes[1:]) <= crop.resize <= 2 * max(sizes[1:]) and crop.interpolation in INTERPOLATIONS
        if pixel_range:
            sound &= bool(np.isfinite(pixel_range).all()) and pixel_range[0] < pixel_range[1]
        if not sound:
            raise DataError("the preprocessing's numbers make no sense")
        return made


class Inverted(ImageView):
    """Images as `Preprocessing.read` gives them to a network that knows light on dark."""

    def __init__(self, pixels: ImageView) -> None:
        super().__init__(len(pixels), (pixels.shape[1], pixels.shape[2], pixels.shape[3]))
        self.pixels = pixels

    @staticmethod
    def invert(pixels: Pixels) -> Pixels:
        """Inverts the images with a light border; an array at once, a view when it is read."""
        return Inverted(pixels) if isinstance(pixels, ImageView) else _invert_light(pixels)

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        return _invert_light(self.pixels.read(numbers))

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        return Inverted(self.pixels.take(numbers))


def _invert_light(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 N×C×H×W, inverted where the border is light."""
    light = border(pixels) > LIGHT_BORDER
    return np.where(light[:, None, None, None], 255 - pixels, pixels) if light.any() else pixels


def _sample(pixels: Pixels) -> Pixels:
    """Everything, or `MAX_SAMPLE_IMAGES` evenly spread images of a longer view."""
    if not isinstance(pixels, ImageView) or len(pixels) <= MAX_SAMPLE_IMAGES:
        return pixels
    return pixels.take(np.linspace(0, len(pixels) - 1, MAX_SAMPLE_IMAGES).astype(np.intp))


def border(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean value of the outermost pixels of each image."""
    rows = pixels[..., [0, -1], :].mean(axis=(1, 2, 3))
    columns = pixels[..., [0, -1]].mean(axis=(1, 2, 3))
    result: NDArray[np.float64] = (rows + columns) / 2
    return result
