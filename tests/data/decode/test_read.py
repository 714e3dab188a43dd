"""Reading one image file, whatever is in it."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError
from opsin.data import Preprocessing
from opsin.data.decode import Crop, read_header, read_pixels
from tests.data.files import noise, write_image


def test_pixels_of_the_right_size_are_kept(tmp_path: Path) -> None:
    pixels = noise(0, 5, 7, 3)
    path = write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_pixels(path, "a", (3, 5, 7)), pixels.transpose(2, 0, 1))
    assert np.array_equal(read_pixels(path.read_bytes(), "a", (3, 5, 7)), pixels.transpose(2, 0, 1))


def test_grey_and_colour_as_asked(tmp_path: Path) -> None:
    grey = write_image(tmp_path / "grey.png", noise(1, 4, 4))
    colour = write_image(tmp_path / "colour.png", noise(2, 4, 4, 3))
    assert read_pixels(grey, "grey", (3, 4, 4)).shape == (3, 4, 4)
    assert read_pixels(colour, "colour", (1, 4, 4)).shape == (1, 4, 4)
    assert read_header(grey, "grey").grey
    assert not read_header(colour, "colour").grey


def test_other_proportions_are_cut_at_the_edges(tmp_path: Path) -> None:
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 255
    path = write_image(tmp_path / "wide.png", pixels)
    assert (read_pixels(path, "wide", (1, 8, 8)) == 255).all()


def test_images_are_made_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, :2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: to be turned clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = read_pixels(tmp_path / "a.png", "a", (1, 6, 4))
    assert (upright[0, :2] == 255).all()
    assert not upright[0, 2:].any()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256 * 7], [256 * 128, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_pixels(tmp_path / "deep.png", "deep", (1, 2, 2)).tolist() == [[[0, 7], [128, 255]]]


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_pixels(tmp_path / "a.png", "a", (3, 2, 2))[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_large_jpegs_are_reduced(tmp_path: Path) -> None:
    path = write_image(tmp_path / "large.jpg", np.full((1000, 800, 3), 77, np.uint8))
    assert np.abs(read_pixels(path, "large", (3, 32, 32)).astype(int) - 77).max() <= 2


def test_ink_on_paper_is_inverted_for_networks_that_know_light_on_dark(tmp_path: Path) -> None:
    pixels = np.full((8, 8), 255, np.uint8)
    pixels[3:5, 3:5] = 10
    path = write_image(tmp_path / "ink.png", pixels)
    known = Preprocessing(1, 8, 8, (0.1,), (0.3,), dark_background=True)
    assert known.read(path, "ink")[0, 0, 0] == 0
    assert known.read(path, "ink")[0, 3, 3] == 245
    assert np.array_equal(Preprocessing(1, 8, 8, (0.1,), (0.3,)).read(path, "ink")[0], pixels)
    light_on_dark = write_image(tmp_path / "chalk.png", 255 - pixels)
    assert np.array_equal(known.read(light_on_dark, "chalk")[0], 255 - pixels)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not an image at all")
    (tmp_path / "empty.png").touch()
    for name, text in {
        "notes.jpg": "notes.jpg is not an image but text; give a PNG, JPEG or other common image file",
        "empty.png": "empty.png is empty, not an image; save it again or leave it out",
        "missing.png": "missing.png: there is no such file; give the path of an image",
        ".": ". is a folder, not an image",
        "x" * 300: "x" * 300 + " cannot be read: File name too long",
    }.items():
        for read in (lambda path, name: read_pixels(path, name, (1, 4, 4)), read_header):
            with pytest.raises(DataError) as caught:
                read(tmp_path / name, name)
            assert str(caught.value) == text
    with pytest.raises(DataError, match="standard input is empty"):
        read_pixels(b"", "standard input", (1, 4, 4))


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp"])
def test_images_cut_short(kind: str) -> None:
    buffer = BytesIO()
    Image.fromarray(noise(3, 60, 60, 3)).save(buffer, kind)
    with pytest.raises(DataError, match=r"^a\.x is (damaged or cut short \(.*\); save the image again|not an image)"):
        read_pixels(buffer.getvalue()[: len(buffer.getvalue()) // 2], "a.x", (3, 60, 60))


def test_a_image_too_large_to_decode() -> None:
    buffer = BytesIO()
    Image.new("1", (16000, 16000)).save(buffer, "png")
    with pytest.raises(DataError, match="too large to decode safely"):
        read_pixels(buffer.getvalue(), "bomb.png", (1, 4, 4))


@pytest.mark.parametrize("size", [(301, 500), (500, 301), (257, 256), (100, 333), (64, 64)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_middle_of_a_resized_image(size: tuple[int, int], interpolation: str) -> None:
    """As torchvision defines it: the longer side is rounded down, the place of the middle to the nearest (or even)."""
    pixels = noise(3, *size, 3)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    actual = read_pixels(file.getvalue(), "a", (3, 48, 48), Crop(56, interpolation))
    height, width = (56 if side == min(size) else 56 * side // min(size) for side in size)
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling[interpolation.upper()]))
    top, left = round((height - 48) / 2), round((width - 48) / 2)
    assert np.array_equal(actual, resized[top : top + 48, left : left + 48].transpose(2, 0, 1))


def test_the_middle_of_a_very_long_image_takes_little_memory() -> None:
    pixels = np.zeros((2, 30_000), np.uint8)
    pixels[:, 14_990:15_010] = 200
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    tracemalloc.start()
    actual = read_pixels(file.getvalue(), "a", (1, 8, 8), Crop(10, "bilinear"))
    assert (actual == 200).all()
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_preprocessing_with_a_crop_is_kept_as_data() -> None:
    made = Preprocessing(3, 8, 6, (0.0,) * 3, (1.0,) * 3, crop=Crop(10, "bicubic"))
    data = made.to_data()
    assert Preprocessing.from_data(data) == made
    without = {key: value for key, value in data.items() if key != "crop"}
    assert Preprocessing.from_data(without).crop is None
    for crop in ({"resize": 7, "interpolation": "bicubic"}, {"resize": 10**9, "interpolation": "bicubic"},
                 {"resize": 10, "interpolation": "magic"}):  # fmt: skip
        with pytest.raises(DataError, match="the preprocessing's numbers make no sense"):
            Preprocessing.from_data({**data, "crop": crop})
    for crop in ({"resize": 10}, 7, {"resize": None, "interpolation": "bicubic"}):
        with pytest.raises(DataError, match="the preprocessing is not described completely"):
            Preprocessing.from_data({**data, "crop": crop})
