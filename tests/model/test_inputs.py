"""Images in all forms in which programs hold them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError, UsageError
from opsin.data import Preprocessing
from opsin.model.inputs import to_pixels
from tests.data.files import write_image
from tests.model.networks import LABELS, images, small_model

COLOUR = Preprocessing(3, 20, 24, (0.5,) * 3, (0.5,) * 3)
GREY = Preprocessing(1, 20, 24, (0.5,), (0.5,), dark_background=True)
NOISE = np.random.default_rng(0).integers(0, 256, (70, 60, 4), dtype=np.uint8)
ORIENTATION = 0x0112


def pil_images() -> dict[str, Image.Image]:
    """An image of each of Pillow's modes that files have, by the file's name."""
    colour = Image.fromarray(NOISE[..., :3])
    clear = colour.quantize(16)
    clear.info["transparency"] = 3
    deep = (NOISE[..., 0].astype(np.uint16) << 8) | NOISE[..., 1]
    return {
        "grey.png": colour.convert("L"), "colour.png": colour, "alpha.png": Image.fromarray(NOISE),
        "grey_alpha.png": Image.fromarray(NOISE[..., :2]), "palette.png": clear, "bits.png": colour.convert("1"),
        "deep.png": Image.fromarray(deep), "cmyk.jpg": colour.convert("CMYK"), "photo.jpg": colour,
        "cmyk.tif": colour.convert("CMYK"), "fractions.tif": Image.fromarray(NOISE[..., 0] / np.float32(255)),
        "animation.gif": clear,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*the model has no pixel range")
@pytest.mark.parametrize("name", pil_images())
@pytest.mark.parametrize("preprocessing", [COLOUR, GREY], ids=["colour", "grey"])
def test_an_image_is_read_like_its_file(name: str, preprocessing: Preprocessing, tmp_path: Path) -> None:
    path = tmp_path / name
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    pil_images()[name].save(path, **({"exif": tags} if path.suffix != ".gif" else {}))
    expected = to_pixels(path, preprocessing)
    content = path.read_bytes()
    assert np.array_equal(to_pixels(content, preprocessing), expected)
    assert np.array_equal(to_pixels(io.BytesIO(content), preprocessing), expected)
    with Image.open(path) as image, path.open("rb") as file:
        assert np.array_equal(to_pixels(image, preprocessing), expected)
        assert np.array_equal(to_pixels(file, preprocessing), expected)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        if path.suffix != ".jpg":  # which is reduced while it is decoded
            assert np.array_equal(to_pixels(image, preprocessing), expected)
            assert np.array_equal(to_pixels(image.copy(), preprocessing), expected)


def test_lazily_opened_jpegs_are_read_like_files(tmp_path: Path) -> None:
    Image.fromarray(NOISE[..., :3]).resize((600, 700)).save(tmp_path / "a.jpg")
    expected = to_pixels(tmp_path / "a.jpg", COLOUR)
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.array_equal(to_pixels(image, COLOUR), expected)
        assert image.load()  # and can still be used
        assert np.abs(to_pixels(image, COLOUR).astype(int) - expected).max() < 32


def test_arrays_in_every_axis_order() -> None:
    colour = NOISE[..., :3]
    expected = to_pixels(Image.fromarray(colour), COLOUR)
    grey = to_pixels(Image.fromarray(NOISE[..., 0]), GREY)
    for same in (colour, colour.transpose(2, 0, 1), colour[None], [colour], np.stack([colour])):
        assert np.array_equal(to_pixels(same, COLOUR), expected)
    for same in (NOISE[..., 0], NOISE[..., :1], NOISE[None, ..., 0]):
        assert np.array_equal(to_pixels(same, GREY), grey)
    assert np.array_equal(to_pixels(NOISE, COLOUR), to_pixels(Image.fromarray(NOISE), COLOUR))
    own = NOISE[:20, :24, :3].transpose(2, 0, 1)
    assert np.array_equal(to_pixels(own, COLOUR)[0], own)
    assert np.array_equal(to_pixels(np.stack([own, own]), COLOUR)[1], own)


def test_forms_may_be_mixed(tmp_path: Path) -> None:
    model, given = small_model(), images(2)
    path = write_image(tmp_path / "a.png", given[0][0])
    (expected,) = model.predict(path)
    content, image = path.read_bytes(), Image.fromarray(given[0][0])
    forms: list[Any] = [
        path, str(path), content, bytearray(content), memoryview(content), io.BytesIO(content), image, given[0],
        given[0][0], given[0].transpose(1, 2, 0),
    ]  # fmt: skip
    for form in forms:
        if isinstance(form, io.BytesIO):
            form.seek(0, io.SEEK_END)  # as after writing
        assert model.predict(form) == [expected]
    assert model.predict(forms) == model.predict(tuple(forms)) == [expected] * len(forms)
    assert model.predict(form for form in forms) == [expected] * len(forms)
    assert model.predict(np.array([str(path)] * 2)) == [expected] * 2
    assert model.predict(iter(())) == model.predict(()) == []


def closed(content: bytes) -> Any:
    file = io.BytesIO(content)
    file.close()
    return file


class AsyncFile:
    """A file whose content has to be waited for."""

    async def read(self, size: int) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (None, "^what was given is None; an image is the path of a file, its bytes, a file open in mode 'rb'"),
        (7, "^what was given is 7; "),
        (0.5, "^what was given is 0.5; "),
        ({"a.png": 1}, "^what was given is of type dict; "),
        ({"a.png"}, "^what was given is of type set; "),
        (object(), "^what was given is of type object; "),
        (Image, "^what was given is of type module; "),
        ([b"", 3], r"^image 1 is empty, not an image"),
        (["a.png", 3], r"^a.png: there is no such file"),
        ([3], "^image 1 is 3; "),
        ([[b""]], "^image 1 is of type list; "),
        (np.zeros((8, 9)), "^what was given is an array of float64 8 × 9; "),
        (np.zeros((8, 9, 5), np.uint8), r"an array of uint8 8 × 9 × 5; .* 1 × 8 × 9 as the network takes it, or rows"),
        (np.zeros((1, 1, 1, 8, 9), np.uint8), "an array of uint8 1 × 1 × 1 × 8 × 9; "),
        (np.zeros((0, 9), np.uint8), "an array of uint8 0 × 9; "),
        (np.array(3, np.uint8), "^what was given is an array of uint8 scalar; "),
        (b"no image", "^the image is not an image but text; give a PNG"),
        (b"", "^the image is empty, not an image"),
        ("a\0b", "is not a file path; pass the bytes of an image as bytes, not as text"),
        ("https://a.b/c.png", r"^https://a.b/c.png is a URL, not a file; download it first, and pass the bytes"),
        (".", r"^\. is a folder, not an image; give the files in it, such as sorted"),
        (io.StringIO("text"), "^the image gives str, not bytes; open the file in mode 'rb'"),
        (AsyncFile(), "^the image gives coroutine, not bytes; open the file in mode 'rb'"),
        (closed(b"x"), r"^the image cannot be read: I/O operation on closed file.; open the file again, in mode 'rb'"),
        (Image.new("L", (0, 5)), "^the image has no pixels; give an image that is not empty"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(wrong: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        small_model().predict(wrong)


def test_a_closed_image_is_refused(tmp_path: Path) -> None:
    image = Image.open(write_image(tmp_path / "a.png", images(1)[0][0]))
    image.close()
    with pytest.raises(DataError, match=r"a.png cannot be used \(.*\); give a Pillow image that is open, or its file"):
        small_model().predict(image)


def test_the_most_probable_labels() -> None:
    model = small_model()
    (complete,) = model.predict(images(1))
    assert len(complete.ranking) == len(LABELS)
    for top in (1, 2, 3, 99, np.int64(2)):
        (some,) = model.predict(images(1), top=top)  # type: ignore[arg-type]
        assert some.ranking == complete.ranking[:top]
        assert (some.label, some.probability) == (complete.label, complete.probability)
    wrong: Callable[[Any], Any] = lambda top: model.predict(images(1), top=top)  # noqa: E731
    with pytest.raises(UsageError, match=r"^top, the number of labels for each image, must be a whole number of at le"):
        wrong(0)
    with pytest.raises(UsageError, match=r"must be a whole number, not 1.5"):
        wrong(1.5)


def test_logits_refuse_anything_but_uint8_arrays() -> None:
    model = small_model()
    with pytest.raises(DataError, match=r"^the model takes arrays of uint8, not 'a.png'; predict takes files, too"):
        model.logits("a.png")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^what a model is measured on must be labelled images, such as data.test"):
        model.evaluate("digits")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^the model's file must be a path, as text or as a Path, not None"):
        model.save(None)  # type: ignore[arg-type]
