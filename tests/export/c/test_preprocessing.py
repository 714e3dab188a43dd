"""Images of any size become the same pixels in C as in Opsin, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import nn
from opsin.data import Preprocessing
from opsin.data.decode import Crop, Stretch
from opsin.data.decode.fit import Framing
from opsin.model import Model
from tests.export.c.support import CModel

FRAMINGS: dict[str, tuple[tuple[int, int, int], Framing | None]] = {
    "grey": ((1, 17, 21), None),
    "colour": ((3, 16, 20), None),
    "colour, odd": ((3, 15, 22), None),
    "colour, stretched": ((3, 20, 24), Stretch()),
    "grey, stretched, bilinear": ((1, 12, 9), Stretch("bilinear")),
    "colour, cropped": ((3, 16, 16), Crop(19, "bicubic")),
    "colour, cropped, bilinear": ((3, 18, 17), Crop(23, "bilinear")),
}
SIZES = (
    (17, 21), (16, 20), (20, 24), (40, 31), (31, 40), (133, 100), (64, 64), (7, 9), (1, 1), (300, 21), (20, 16),
    (3, 90), (90, 3), (23, 19),
)  # fmt: skip


def pixel_model(shape: tuple[int, int, int], framing: Framing | None, dark: bool = False) -> Model:
    """Return a model whose outputs are a function of each pixel, different for all values."""
    graph = nn.trace(nn.Sequential(nn.Tanh(), nn.Flatten()), shape)
    channels = shape[0]
    preprocessing = Preprocessing(*shape, (0.48, 0.43, 0.4)[:channels], (0.23, 0.25, 0.27)[:channels], dark, framing)
    labels = [str(number) for number in range(int(np.prod(shape)))]
    return Model("pixels", graph, {}, preprocessing, labels, portable=True)


def image(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return noise over a ramp: sharp, and with values that the filter takes beyond black and white."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None]
    pixels = np.clip(ramp + rng.normal(0, 90, (height, width, channels)), 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


@pytest.mark.parametrize("name", FRAMINGS)
def test_pixels_are_those_of_opsin(name: str, tmp_path: Path) -> None:
    shape, framing = FRAMINGS[name]
    model = pixel_model(shape, framing)
    compiled = CModel(model, tmp_path, extra_bytes=200_000)
    for height, width in SIZES:
        for channels in (1, 3):
            pixels = image(height, width, channels)
            state, found = compiled.outputs(pixels)
            assert state == 0
            expected = model.outputs(model.reader.read(_pillow(pixels), "image")[None])["logits"][0]
            assert found.tobytes() == expected.tobytes(), (height, width, channels)


def _pillow(pixels: np.ndarray):  # type: ignore[no-untyped-def]
    from PIL import Image

    return Image.fromarray(pixels)
