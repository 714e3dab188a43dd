"""Kinds of images that are not read are called by their name; what is damaged is called damaged."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from opsin.data import items
from opsin.data.decode import read_header, read_pixels
from opsin.data.items import FileProblem, ItemError
from tests.data.decode.test_safety import encoded
from tests.data.decode.tiffs import GREY, RGB, tiff
from tests.data.files import noise


def problem_of(file: bytes) -> FileProblem:
    actual = []
    for read in (lambda: read_header(file, "a"), lambda: read_pixels(file, "a", (3, 8, 8))):
        with pytest.raises(ItemError) as caught:
            read()
        actual.append(caught.value.problem)
    assert actual[0] == actual[1]
    return actual[0]


def numbers(kind: str, bands: int) -> np.ndarray:
    return noise(bands, 9, 10, bands).astype(kind)


@pytest.mark.parametrize(("file", "kind"), [
    (tiff(numbers("uint16", 5), GREY, (0,) * 4), "a TIFF of 5 bands of uint16"),
    (tiff(numbers("uint8", 2), GREY, (0,)), "a TIFF of 2 bands of uint8"),
    (tiff(numbers("uint8", 3), GREY, (0, 0)), "a TIFF of 3 bands of uint8"),
    (tiff(numbers("uint8", 13), GREY), "a TIFF of 13 bands of uint8"),
    (tiff(numbers("float64", 2), GREY, (0,)), "a TIFF of 2 bands of float64"),
    (tiff(numbers("complex64", 1), GREY), "a TIFF of 1 band of complex numbers (grey)"),
    (tiff(numbers("uint16", 1), 32803), "a TIFF of 1 band of uint16 (colour filter array)"),
    (tiff(numbers("uint16", 3), 8), "a TIFF of 3 bands of uint16 (CIE L*a*b*)"),
    (tiff(numbers("uint8", 3), RGB, t258=(5, 6, 5)), "a TIFF of 3 bands of different depths (RGB)"),
    (tiff(numbers("uint8", 1), GREY, t259=(34887,)), "a TIFF of 1 band of uint8 (grey), compressed with LERC"),
    (tiff(numbers("uint8", 3), RGB, t259=(34712,)), "a TIFF of 3 bands of uint8 (RGB), compressed with JPEG 2000"),
    (tiff(numbers("uint8", 1), GREY, t259=(4711,)), "a TIFF of 1 band of uint8 (grey), compressed with method 4711"),
])  # fmt: skip
def test_kinds_of_tiff_that_are_not_read(file: bytes, kind: str) -> None:
    reason = f"{kind}, which is not read: save it as grey or RGB of 8 or 16 bits"
    assert problem_of(file) == FileProblem("a", reason, items.NOT_AN_IMAGE)
    with pytest.raises(ItemError) as caught:
        read_pixels(file, "a.tif", (3, 8, 8))
    assert str(caught.value) == f"a.tif is {reason.replace(': ', '; ')}"


@pytest.mark.parametrize(("marker", "bits", "components", "kind"), [
    (0xC0, 12, 3, "a JPEG of 12 bits a channel"), (0xC1, 12, 3, "a JPEG of 12 bits a channel"),
    (0xC3, 16, 3, "a JPEG of 16 bits a channel"), (0xC5, 8, 3, "a hierarchical JPEG"),
    (0xF7, 8, 3, "a JPEG-LS image"), (0xC0, 8, 2, "a JPEG of 2 channels"),
])  # fmt: skip
def test_kinds_of_jpeg_that_are_not_read(marker: int, bits: int, components: int, kind: str) -> None:
    file = bytearray(encoded(Image.fromarray(noise(1, 16, 16, 3)), "jpeg"))
    frame = file.index(b"\xff\xc0")
    file[frame + 1], file[frame + 4], file[frame + 9] = marker, bits, components
    reason = f"{kind}, which is not read: save it as grey or RGB of 8 or 16 bits"
    assert problem_of(bytes(file)) == FileProblem("a", reason, items.NOT_AN_IMAGE)


def test_damage_stays_damage() -> None:
    sound = tiff(numbers("uint16", 3), RGB, rows=2)
    files = [sound[: len(sound) // 2], tiff(numbers("uint16", 3), RGB, t273=(10**6,)),
             tiff(numbers("float32", 3), RGB, t322=(16,), t323=(117_440_528,), t324=(8,), t325=(99,)),
             tiff(numbers("uint16", 1), t258=(999,)), tiff(numbers("uint16", 1), t262=(999,)),
             tiff(numbers("uint16", 1), t277=(65535,))]  # fmt: skip
    for number, file in enumerate(files):
        with pytest.raises(ItemError) as caught:
            read_pixels(file, "a", (3, 8, 8))
        assert caught.value.problem.kind == items.DAMAGED, number
        assert str(caught.value).startswith("a is damaged or cut short ("), number
    jpeg = bytearray(b"\xff\xd8\xff\xc0" + struct.pack(">HB2HB", 17, 9, 8, 8, 3) + bytes(9))
    with pytest.raises(ItemError, match=r"^a is damaged or cut short"):
        read_pixels(bytes(jpeg), "a", (3, 8, 8))


def test_many_bands_of_a_small_file_take_no_memory() -> None:
    file = tiff(numbers("float64", 3), RGB, t256=(8000,), t257=(8000,), t259=(8,))
    with pytest.raises(ItemError) as caught:
        read_pixels(file, "a", (3, 8, 8))
    assert caught.value.problem.kind == items.TOO_LARGE
