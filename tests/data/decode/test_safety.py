"""Bombs, damage, odd modes and metadata: every kind of image file, read safely and without a warning."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from opsin.data import items
from opsin.data.decode import read_header, read_pixels
from opsin.data.decode.pillow_warnings import suppress_pillow_warnings
from opsin.data.items import ItemError, printable
from tests.data import bombs
from tests.data.corrupted import GOOD, write_corrupted
from tests.data.files import noise


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def problem_of(read: Callable[[], object]) -> items.FileProblem:
    with pytest.raises(ItemError) as caught:
        read()
    return caught.value.problem


def test_each_file_of_a_corrupted_folder(tmp_path: Path) -> None:
    made = {entry.name: entry.kind for entry in write_corrupted(tmp_path)}
    with ThreadPoolExecutor(2) as pool:
        actual = dict(
            pool.map(lambda path: (printable(path.relative_to(tmp_path)), attempt(path)), tmp_path.glob("*/*"))
        )
    links = {name for name, kind in made.items() if kind == items.LOOP and "." not in name}  # to folders: not read
    assert {name: kind for name, kind in actual.items() if name not in links and name in made} == {
        name: kind for name, kind in made.items() if name not in links
    }


def attempt(path: Path) -> str:
    try:
        header = read_header(path, path.name)
        assert read_pixels(path, path.name, (3, 24, 24)).shape == (3, 24, 24)
        assert (header.height, header.width) == (40, 48)
    except ItemError as error:
        assert path.name in str(error)
        return error.problem.kind
    return GOOD


MEMORY = """
from concurrent.futures import ThreadPoolExecutor
from opsin.data.items import ItemError
from opsin.data.decode import read_header, read_pixels
from opsin.planning.measurement import process_bytes  # a child's ru_maxrss would count what its parent had
from tests.data import bombs
files = [bombs.png(8192, 6), bombs.jpeg(8192, progressive=True)]
with ThreadPoolExecutor(2) as pool:
    for file, pixels in zip(files, pool.map(lambda file: read_pixels(file, "a", (3, 64, 64)), files)):
        assert len(set(pixels.reshape(-1).tolist())) == 1
refused = [bombs.png(), bombs.png(colours=6, bits=16), bombs.jpeg(), bombs.jpeg(progressive=True), bombs.gif(),
           bombs.gif(10), bombs.tiff(), bombs.bmp(), bombs.webp(), bombs.png(8193), bombs.jpeg(16392)]
def refuse(file):
    for read in (lambda: read_header(file, "a"), lambda: read_pixels(file, "a", (3, 64, 64))):
        try:
            read()
        except ItemError as error:
            assert error.problem.kind == "too large", error
        else:
            raise AssertionError(len(file))
with ThreadPoolExecutor(2) as pool:
    list(pool.map(refuse, refused))
print(process_bytes())
"""


def test_bombs_are_refused_and_the_largest_images_fit_in_a_gigabyte() -> None:
    result = subprocess.run([sys.executable, "-W", "error", "-c", MEMORY], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert int(result.stdout) < 1e9


def test_what_is_said_of_a_bomb() -> None:
    with pytest.raises(ItemError) as caught:
        read_pixels(bombs.jpeg(), "a.jpg", (3, 8, 8))
    assert str(caught.value) == "a.jpg has 30,000 × 30,000 pixels, too large to decode safely; make it smaller first"
    assert caught.value.problem.reason == "30,000 × 30,000 pixels, too large to decode safely"


def test_jpegs_are_reduced_as_far_as_the_network_allows() -> None:
    """A large JPEG can be read for a small network, and is refused where it would have to be decoded whole."""
    file = bombs.jpeg(16_384)
    assert (read_pixels(file, "a", (1, 64, 64)) == 128).all()
    assert problem_of(lambda: read_pixels(file, "a", (1, 5000, 5000))).kind == items.TOO_LARGE


PILLOW_MAJOR = int(PIL.__version__.split(".")[0])

COLOURS = (
    np.array([[[200, 30, 60], [30, 200, 90]], [[10, 10, 10], [250, 250, 250]]], np.uint8).repeat(16, 0).repeat(16, 1)
)


@pytest.mark.parametrize(("mode", "format", "tolerance"), [
    ("RGB", "png", 0), ("P", "png", 3), ("RGBA", "png", 0), ("RGB", "bmp", 0), ("P", "gif", 3), ("RGB", "webp", 25),
    ("CMYK", "jpeg", 12), ("CMYK", "tiff", 1), ("RGB", "tiff", 0), ("YCbCr", "jpeg", 12), ("RGB", "jpeg", 12),
    ("YCbCr", "tiff", 3),
])  # fmt: skip
def test_colours_of_every_mode(mode: str, format: str, tolerance: int) -> None:
    if (mode, format) == ("YCbCr", "tiff") and PILLOW_MAJOR < 13:
        pytest.skip("Pillow before 13 cannot read the YCbCr TIFF that it writes")
    image = Image.fromarray(COLOURS)
    file = encoded(image.quantize(4) if mode == "P" else image.convert(mode), format)
    actual = read_pixels(file, "a", (3, 32, 32)).transpose(1, 2, 0).astype(int)
    assert np.abs(actual - COLOURS)[4:12, 4:12].max() <= tolerance
    assert np.abs(actual - COLOURS)[20:28, 20:28].max() <= tolerance


def test_lab_colours() -> None:
    """CIE L*a*b*: 53.24, 80.09, 67.20 is sRGB's red, with bytes L · 2.55 and a, b + 128."""
    red = Image.merge("LAB", [Image.new("L", (8, 8), value) for value in (136, 208, 195)])
    actual = read_pixels(encoded(red, "tiff"), "a", (3, 8, 8))[:, 0, 0].astype(int)
    assert np.abs(actual - (255, 0, 0)).max() <= 12


@pytest.mark.parametrize(("values", "expected"), [
    (np.array([[0, 65535], [256, 32768]], np.uint16), [[0, 255], [1, 128]]),
    (np.array([[0, 255], [100, 7]], np.int32), [[0, 255], [100, 7]]),
    (np.array([[0, 65535], [256, 40000]], np.int32), [[0, 255], [0, 155]]),
    (np.array([[0, 1], [0.5, 0.25]], np.float32), [[0, 255], [127, 63]]),
    (np.array([[0, 200], [np.nan, -5]], np.float32), [[0, 200], [0, 0]]),
])  # fmt: skip
def test_deep_greys(values: np.ndarray, expected: list[list[int]]) -> None:
    assert read_pixels(encoded(Image.fromarray(values), "tiff"), "a", (1, 2, 2))[0].tolist() == expected


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    if mode in ("RGBA", "LA"):
        image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
        file = encoded(image, "png")
    else:
        file = encoded(Image.new(mode, (4, 4), 0), "png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert (read_pixels(file, "a", (3, 4, 4)) == 255).all()
    assert (read_pixels(file, "a", (1, 4, 4)) == 255).all()


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_every_orientation_in_every_format(format: str, turned: int) -> None:
    """The file holds the image as a camera that was held so would; read, it is upright again."""
    upright = np.zeros((24, 32), np.uint8)
    upright[:12, :8] = 255
    held = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
            6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1)}[turned]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turned
    file = encoded(Image.fromarray(np.ascontiguousarray(held)).convert("RGB"), format, exif=exif)
    header = read_header(file, "a")
    assert (header.height, header.width) == (24, 32)
    assert np.abs(read_pixels(file, "a", (1, 24, 32))[0].astype(int) - upright).max() < 60


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    for format in ("gif", "webp", "tiff"):
        file = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert read_pixels(file, "a", (3, 6, 6))[:, 0, 0].tolist()[0] > 250


def test_no_warning_leaves_and_none_of_others_is_swallowed() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\x01\5\0\1\0\0\0\xf0\xff\xff\xff"
    file = encoded(Image.new("RGB", (9, 9)), "jpeg", exif=exif)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: read_pixels(file, "a", (3, 4, 4)), range(40)))
        with suppress_pillow_warnings():
            warnings.warn_explicit("decoder", UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")
            warnings.warn_explicit("mine", UserWarning, "mine.py", 1, "mine")
        assert warnings.filters == before
    assert [str(warning.message) for warning in seen] == ["mine"]


def test_decoders_do_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    tiff = bytearray(encoded(Image.fromarray(noise(0, 8, 8, 3)), "tiff"))
    place = tiff.index(b"\x15\x01\x03\0\1\0\0\0") + 8  # samples per pixel
    tiff[place : place + 2] = b"\xff\xff"
    assert problem_of(lambda: read_pixels(bytes(tiff), "a", (3, 4, 4))).kind == items.DAMAGED
    packed = encoded(Image.fromarray(noise(0, 40, 40, 3)), "tiff", compression="tiff_lzw")
    damaged = packed.replace(packed[100:200], bytes(100))
    with suppress(ItemError):  # not every version of libtiff notices
        read_pixels(damaged, "a", (3, 4, 4))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("PIL").handlers


def test_images_of_other_formats_are_called_images() -> None:
    data = b"\0\0\0\x18ftypheic"
    problem = problem_of(lambda: read_header(data, "a.jpg"))
    assert problem == items.FileProblem("a.jpg", "a HEIC image, which is not read: save it as JPEG", items.NOT_AN_IMAGE)
    with pytest.raises(ItemError, match=r"^a.jpg is a HEIC image, which is not read; save it as JPEG$"):
        read_header(data, "a.jpg")


@pytest.mark.parametrize(("data", "what"), [
    (b"%PDF-1.4", "a PDF"),
    ("Текст".encode(), "text"), (b" <HTML>", "a web page"), (b"\xff\xd8\x01\x80", None), (bytes(90), None),
    (b"BM is the beginning of a text", "text"),
])  # fmt: skip
def test_what_a_file_is_instead(data: bytes, what: str | None) -> None:
    problem = problem_of(lambda: read_header(data, "a.jpg"))
    assert problem == items.FileProblem(
        "a.jpg", f"not an image ({what})" if what else "not an image", items.NOT_AN_IMAGE
    )
