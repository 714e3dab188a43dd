"""TIFFs of every depth, number of bands and layout: the right pixels, or the name of a kind that is not read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from opsin.data.decode import decode_image, read_header, read_pixels, read_value_range
from tests.data.decode.tiffs import DEFLATE, GREY, RGB, tiff

HEIGHT, WIDTH = 21, 37
BYTES = (0.0, 255.0)
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2
KINDS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64")


def numbers(kind: str, bands: int, most: int = 120) -> NDArray[Any]:
    random = np.random.default_rng(bands)
    made = random.random((HEIGHT, WIDTH, bands)) * most
    return made.astype(kind)


def shown(
    values: NDArray[Any], colours: int, alpha: NDArray[Any] | None = None, multiplied: bool = False
) -> NDArray[Any]:
    """What is to be seen where 0 is black and 255 white, on white: float64 3×H×W."""
    shades = values[..., :colours].astype(np.float64).clip(0, 255)
    if alpha is not None:
        opaque = 1.0 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
        cover = (alpha.astype(np.float64) / opaque).clip(0, 1)[..., None]
        shades = ((shades if multiplied else shades * cover) + 255 * (1 - cover)).clip(0, 255)
    return np.broadcast_to(shades, (*shades.shape[:2], 3)).transpose(2, 0, 1)


LAYOUTS: list[dict[str, Any]] = [
    {}, {"order": ">"}, {"rows": 5}, {"tile": 16}, {"tile": 16, "order": ">"}, {"big": True},
    {"big": True, "order": ">"},
    {"compression": DEFLATE, "rows": 4}, {"compression": DEFLATE, "tile": 16},
    {"compression": DEFLATE, "predictor": 2, "rows": 6},
    {"compression": DEFLATE, "predictor": 2, "tile": 16, "order": ">"},
]  # fmt: skip
BANDS: list[tuple[int, int, tuple[int, ...]]] = [
    (GREY, 1, ()), (RGB, 3, ()), (GREY, 2, (ALPHA,)), (GREY, 2, (PREMULTIPLIED,)), (RGB, 4, (ALPHA,)),
    (RGB, 4, (PREMULTIPLIED,)), (RGB, 5, (UNSPECIFIED, ALPHA)),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("photometric", "bands", "extra"), BANDS)
def test_every_depth_in_every_layout(kind: str, photometric: int, bands: int, extra: tuple[int, ...]) -> None:
    values, colours = numbers(kind, bands), 3 if photometric == RGB else 1
    alpha_band = next((place for place, what in enumerate(extra) if what), None)
    alpha = None if alpha_band is None else values[..., colours + alpha_band]
    if PREMULTIPLIED in extra and alpha is not None:  # no colour is more than its alpha
        values[..., :colours] = np.minimum(values[..., :colours], alpha[..., None])
    expected = shown(values, colours, alpha, PREMULTIPLIED in extra)
    for layout in LAYOUTS:
        if layout.get("predictor") == 2 and values.dtype.kind == "f":
            layout = {**layout, "predictor": 3}
        for planar in (False, True) if bands > 1 else (False,):
            if planar and layout.get("compression") == DEFLATE and kind == "uint8" and not extra:
                continue  # as Pillow reads it
            file = tiff(values, photometric, extra, planar=planar, **layout)
            actual = read_pixels(file, "a", (3, HEIGHT, WIDTH), None, BYTES)
            assert np.abs(actual - expected).max() <= 1.5, (layout, planar)
    header = read_header(file, "a")
    assert (header.height, header.width, header.grey) == (HEIGHT, WIDTH, colours == 1)
    assert header.depth == (kind if kind != "uint8" else "")


@pytest.mark.parametrize("bits", [1, 2, 4, 5, 6, 9, 10, 12, 14, 15])
@pytest.mark.parametrize(("photometric", "bands"), [(GREY, 1), (0, 1), (RGB, 3)])
def test_any_number_of_bits(bits: int, photometric: int, bands: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH, bands)).astype(np.uint16)
    actual = read_pixels(tiff(values, photometric, bits=bits), "a", (3, HEIGHT, WIDTH))
    expected = shown(values * (255 / (2**bits - 1)), bands)
    assert np.abs(actual - (255 - expected if photometric == 0 else expected)).max() <= 1.01


@pytest.mark.parametrize("turned", range(1, 9))
def test_high_depth_images_are_made_upright(turned: int) -> None:
    upright = np.zeros((24, 32, 1), np.uint16)
    upright[:12, :8] = 65535
    flat = upright[..., 0]
    held = {1: flat, 2: flat[:, ::-1], 3: flat[::-1, ::-1], 4: flat[::-1], 5: flat.T, 6: np.rot90(flat),
            7: flat[::-1, ::-1].T, 8: np.rot90(flat, -1)}[turned]  # fmt: skip
    file = tiff(np.ascontiguousarray(held)[..., None], t274=(turned,))
    header = read_header(file, "a")
    assert (header.height, header.width) == (24, 32)
    assert np.array_equal(read_pixels(file, "a", (1, 24, 32))[0], flat >> 8)


def test_values_of_a_image() -> None:
    values = numbers("float32", 3)
    values[3, 4] = np.nan, np.inf, -np.inf
    header, actual = read_value_range(tiff(values, RGB), "a")
    finite = values[np.isfinite(values)]
    assert (header.depth, actual) == ("float32", (float(finite.min()), float(finite.max())))
    pixels = read_pixels(tiff(values, RGB), "a", (3, HEIGHT, WIDTH), None, (0.0, 120.0))
    assert pixels[:, 3, 4].tolist() == [0, 255, 0]  # no number, more than white, less than black


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_bands_beside_the_colours_are_left_out_and_said(kind: str) -> None:
    values = numbers(kind, 5)
    for bands in (4, 5):
        for extra in ((UNSPECIFIED,) * (bands - 3), (UNSPECIFIED,) * (bands - 4) + (ALPHA,)):
            file = tiff(values[..., :bands], RGB, extra)
            read = decode_image(file, "a", (3, HEIGHT, WIDTH), None, BYTES)
            alpha = values[..., bands - 1] if ALPHA in extra else None
            assert np.abs(read.pixels - shown(values, 3, alpha)).max() <= 1.01
            left = f"of its {bands} bands, only red, green and blue are used"
            assert read.header.remark == ("" if (bands, ALPHA in extra) == (4, True) else left)


def test_further_images_are_said() -> None:
    pages = [Image.new("L", (6, 6), shade) for shade in (9, 99, 199)]
    file = BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    assert read_header(file.getvalue(), "a").remark == "of its 3 images, only the first is used"
    assert (read_pixels(file.getvalue(), "a", (1, 6, 6)) == 9).all()
