"""The preprocessing of images for a network, as data that is stored in the model file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.data.dataset import Samples
from opsin.data.decode import (
    INTERPOLATIONS,
    Crop,
    Framing,
    ImageSource,
    PixelRange,
    Portable,
    Stretch,
    decode_image,
    decode_pil,
)
from opsin.data.decode.bit_depth import is_dark, to_uint8, value_range
from opsin.data.ingest.messages import value_text
from opsin.data.pixels import ImageView, Pixels, chunks
from opsin.inputs import described_input
from opsin.inputs.registry import IMAGE
from opsin.ir.arguments import instance

MAX_SAMPLE_IMAGES = 4096
"""Images of a data set on disk from which mean and standard deviation are computed."""

DARK_BORDER, LIGHT_BORDER = 64, 160
"""Mean values of the border pixels below which a background counts as dark, and above which as light."""


@dataclass(frozen=True)
class Preprocessing:
    """Images become `channels`×`height`×`width`, and each pixel value v (0 to 255) becomes `(v/255 - mean) / std`.

    `dark_background` is set if the network was trained on light strokes on black, as in MNIST; image files with a light
    border, such as ink on paper, are then inverted. `crop` says how image files are resized, and cropped or stretched;
    by default, the largest centred part with the right aspect ratio is resized. The two values of `pixel_range` are
    black and white in images with more than eight bits, as in the training images. With several `frames`, the network
    takes each image with those before it as further channels.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dark_background: bool = False
    crop: Framing | None = None
    pixel_range: PixelRange | None = None
    frames: int = 1

    kind: ClassVar[str] = IMAGE
    dtype: ClassVar[Any] = np.uint8

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.channels, self.height, self.width

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the network takes: an image, or a stack of frames."""
        return self.frames * self.channels, self.height, self.width

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.height, self.width

    @classmethod
    def of(cls, images: Samples) -> Preprocessing:
        """Return the preprocessing with the mean and standard deviation of each channel of `images`.

        If the images are on disk, `MAX_SAMPLE_IMAGES` evenly spaced ones are used. Samples of another kind of input
        have their preparation with them (see `opsin.inputs`).
        """
        instance("what is to be prepared", images, Samples, "labelled images, such as data.train of a dataset")
        if images.input is not None:
            return images.input  # type: ignore[no-any-return]
        frames, images = images.frames, images.single()
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
        dark_background = channels == 1 and dark_borders / len(pixels) > 0.9
        return cls(*images.shape, tuple(mean), tuple(std), dark_background, images.framing, frames=frames)

    @property
    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The factor and the offset, float32 per channel of the input, that normalize a pixel value from 0 to 255."""
        scale = np.array([1 / (255 * s) for s in self.std], np.float32)
        shift = np.array([-m / s for m, s in zip(self.mean, self.std, strict=True)], np.float32)
        return np.tile(scale, self.frames), np.tile(shift, self.frames)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Normalize uint8 N×C×H×W to float32 N×C×H×W."""
        scale, shift = self.scale_and_shift
        values = pixels.astype(np.float32)
        values *= scale.reshape(-1, 1, 1)
        values += shift.reshape(-1, 1, 1)
        return values

    def read(self, source: ImageSource | Image.Image, name: str) -> NDArray[np.uint8]:
        """Decode an image file or a Pillow image to the network's input size, uint8 C×H×W.

        Raise `DataError` if it is not an image.
        """
        return self.read_with_size(source, name)[0]

    def read_with_size(self, source: ImageSource | Image.Image, name: str) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """Return the result of `read`, and the height and width of the image itself."""
        if isinstance(source, Image.Image):
            image = decode_pil(source, name, self.shape, self.crop, self.pixel_range)
        else:
            image = decode_image(source, name, self.shape, self.crop, self.pixel_range)
        if image.header.remark:
            warnings.warn(f"{name}: {image.header.remark}", UserWarning, stacklevel=2)
        if image.values:
            self._warn_about_range(name, image.header.depth, image.values)
        pixels = _invert_light(image.pixels[None])[0] if self.dark_background else image.pixels
        return pixels, (image.header.height, image.header.width)

    def to_uint8(self, pixels: NDArray[Any], name: str) -> NDArray[Any]:
        """Convert arrays of other numbers to bytes by the pixel range; without a range, return them unchanged."""
        if self.pixel_range is None or pixels.dtype == np.uint8 or pixels.dtype.kind not in "uif" or not pixels.size:
            return pixels
        self._warn_about_range(name, str(pixels.dtype), value_range(pixels))
        return to_uint8(pixels, self.pixel_range)

    def _warn_about_range(self, name: str, kind: str, values: PixelRange) -> None:
        """Warn if the values of an image do not match those of the training images."""
        low, high = (value_text(value) for value in values)
        text = f"{name} has {kind} values from {low} to {high}"
        if self.pixel_range is None:
            type_range = (0.0, float(np.iinfo(kind).max)) if kind.startswith("uint") else None
            if type_range and values[1] > type_range[1] / 4:
                return
            text += ", and the model has no pixel range for them, so this image alone determines what is white"
        elif values[0] < self.pixel_range[0] or values[1] > self.pixel_range[1]:
            black, white = (value_text(value) for value in self.pixel_range)
            text += f"; the pixel range of the model is {black} to {white}, and values outside it are clipped"
        elif is_dark(values, self.pixel_range):
            black, white = (value_text(value) for value in self.pixel_range)
            text += f", nearly black in the model's pixel range of {black} to {white}; it may use another scale"
        else:
            return
        warnings.warn(text, UserWarning, stacklevel=3)

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing that `to_data` described, of images or of another kind of input.

        Raise `DataError` for anything else.
        """
        if "kind" in data:
            return described_input(data)  # type: ignore[no-any-return]
        try:
            sizes = [int(data[key]) for key in ("channels", "height", "width")]
            mean, std = (tuple(float(value) for value in data[key]) for key in ("mean", "std"))
            crop_data, range_data = data.get("crop"), data.get("pixel_range")
            crop = None if crop_data is None else _framing(crop_data)
            pixel_range = None if range_data is None else (float(range_data[0]), float(range_data[1]))
            result = cls(
                sizes[0], sizes[1], sizes[2], mean, std, bool(data["dark_background"]), crop, pixel_range,
                int(data.get("frames", 1)),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, IndexError):
            raise DataError("the preprocessing is not described completely") from None
        valid = len(mean) == len(std) == result.channels and min(sizes) > 0 and np.isfinite(mean).all() and min(std) > 0
        valid &= result.frames > 0
        if isinstance(crop, Crop):
            valid &= max(sizes[1:]) <= crop.resize <= 2 * max(sizes[1:])
        if isinstance(crop, Crop | Stretch):
            valid &= crop.interpolation in INTERPOLATIONS
        if pixel_range:
            valid &= bool(np.isfinite(pixel_range).all()) and pixel_range[0] < pixel_range[1]
        if not valid:
            raise DataError("the preprocessing's numbers make no sense")
        return result


def _framing(data: Mapping[str, Any]) -> Framing:
    """Return the crop or the stretching that `Preprocessing.to_data` described."""
    interpolation = str(data["interpolation"])
    return Crop(int(data["resize"]), interpolation) if "resize" in data else Stretch(interpolation)


def portable_preprocessing(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing that resizes image files to pixels that are bit-identical in all exports."""
    return replace(preprocessing, crop=Portable.of(preprocessing.crop))


class Inverted(ImageView):
    """Images with the light backgrounds inverted, for networks trained on light strokes on a dark background."""

    def __init__(self, pixels: ImageView) -> None:
        super().__init__(len(pixels), (pixels.shape[1], pixels.shape[2], pixels.shape[3]))
        self.pixels = pixels

    @staticmethod
    def invert(pixels: Pixels) -> Pixels:
        """Invert the images with a light border: an array at once, a view when it is read."""
        return Inverted(pixels) if isinstance(pixels, ImageView) else _invert_light(pixels)

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        return _invert_light(self.pixels.read(indices))

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return Inverted(self.pixels.take(indices))


def _invert_light(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Invert the images (uint8 N×C×H×W) that have a light border."""
    is_light = border(pixels) > LIGHT_BORDER
    return np.where(is_light[:, None, None, None], 255 - pixels, pixels) if is_light.any() else pixels


def _sample(pixels: Pixels) -> Pixels:
    """Return all images, or `MAX_SAMPLE_IMAGES` evenly spaced ones of a longer view."""
    if not isinstance(pixels, ImageView) or len(pixels) <= MAX_SAMPLE_IMAGES:
        return pixels
    return pixels.take(np.linspace(0, len(pixels) - 1, MAX_SAMPLE_IMAGES).astype(np.intp))


def border(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean value of the border pixels of each image."""
    rows = pixels[..., [0, -1], :].mean(axis=(1, 2, 3))
    columns = pixels[..., [0, -1]].mean(axis=(1, 2, 3))
    result: NDArray[np.float64] = (rows + columns) / 2
    return result
