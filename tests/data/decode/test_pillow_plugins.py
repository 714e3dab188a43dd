"""The rarer formats: read wherever images come from, to the bit as Pillow does, and named where it cannot."""

from __future__ import annotations

import random
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from opsin.data import items, load
from opsin.data.decode import pillow_plugins, read_header, read_pixels
from opsin.data.decode.formats import recognise
from opsin.data.items import ItemError
from opsin.data.sources import image_files
from tests.data.files import PLACES, noise, write_entries

NEEDS = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
CASES = [
    ("PPM", "RGB", {}), ("PPM", "L", {}), ("PPM", "1", {}), ("JPEG2000", "RGB", {}),
    ("JPEG2000", "L", {"no_jp2": True}),
    ("JPEG2000", "RGBA", {}), ("AVIF", "RGB", {"quality": 100, "subsampling": "4:4:4"}), ("TGA", "RGB", {}),
    ("TGA", "RGBA", {}), ("TGA", "L", {"compression": "tga_rle"}), ("TGA", "P", {}),
    ("TGA", "1", {}), ("TGA", "LA", {}),
    ("TGA", "RGB", {"compression": "tga_rle"}), ("DDS", "RGB", {}), ("DDS", "RGBA", {}), ("DDS", "L", {}),
    ("SGI", "RGB", {}), ("SGI", "L", {}), ("PCX", "RGB", {}), ("PCX", "L", {}), ("PCX", "P", {}), ("PCX", "1", {}),
    ("ICO", "RGBA", {"sizes": [(24, 20)]}), ("ICO", "RGBA", {"sizes": [(24, 20)], "bitmap_format": "bmp"}),
    ("BMP", "1", {}), ("BMP", "P", {}), ("GIF", "P", {}), ("MPO", "RGB", {"quality": 100, "subsampling": 0}),
]  # fmt: skip


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    if format in NEEDS and not features.check(NEEDS[format]):
        pytest.skip(f"this Pillow writes no {format}")
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def image(mode: str = "RGB", seed: int = 0) -> Image.Image:
    soft = Image.fromarray(noise(seed, 5, 6, 3)).resize((24, 20), Image.Resampling.BICUBIC)
    return soft.quantize(64) if mode == "P" else soft.convert(mode)


@pytest.mark.parametrize(("format", "mode", "options"), CASES)
def test_pixels(format: str, mode: str, options: dict[str, object]) -> None:
    original = image(mode)
    data = encoded(original, format, **options)
    header = read_header(data, "a")
    assert (header.height, header.width) == (20, 24)
    with Image.open(BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"), int)
    actual = read_pixels(data, "a", (3, 20, 24)).transpose(1, 2, 0)
    assert np.array_equal(actual, expected)
    lossy = 40 if format in ("AVIF", "MPO", "JPEG2000") else 0
    assert np.abs(actual - np.asarray(original.convert("RGB"), int)).max() <= lossy


PAM = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\0\xff"


@pytest.mark.parametrize(("data", "expected"), [
    (b"P1\n# a comment\n3 1\n0 1 1\n", [255, 0, 0]), (b"P2 3 1 255 0 100 255", [0, 100, 255]),
    (b"P2 3 1 15 0 3 15", [0, 51, 255]), (b"P5\n#x\n#y\n3 1\n255\n\x00\x64\xff", [0, 100, 255]),
    (b"P5 3 1 65535\n\x00\xff\x64\x00\xff\xff", [0, 100, 255]), (b"P2 3 1 4095 0 1607 4095", [0, 100, 255]),
    (b"P5 3 1 1023\n\x00\x00\x01\x92\x03\xff", [0, 100, 255]), (b"P4 3 1\n\x60", [255, 0, 0]),
])  # fmt: skip
def test_portable_greys(data: bytes, expected: list[int]) -> None:
    """What white is, the file says: its largest value."""
    assert read_pixels(data, "a", (1, 1, 3))[0, 0].tolist() == expected
    assert read_header(data, "a").grey


def test_portable_colours_and_fractions() -> None:
    assert read_pixels(b"P3 2 1 255  1 2 3  4 5 6", "a", (3, 1, 2))[:, 0].T.tolist() == [[1, 2, 3], [4, 5, 6]]
    fractions = b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0, 1)
    assert read_pixels(fractions, "a", (1, 1, 2))[0, 0].tolist() == [0, 255]


def test_deep_grey_of_jpeg_2000() -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    data = encoded(Image.fromarray(values), "JPEG2000", irreversible=False)
    assert np.array_equal(read_pixels(data, "a", (1, 8, 8))[0], values >> 8)


def test_a_true_colour_qoi() -> None:
    """A pixel of four bytes, a run, and the end, as https://qoiformat.org has them."""
    data = b"qoif" + struct.pack(">2I", 3, 1) + b"\3\0" + b"\xfe\x0a\x14\x1e" + b"\xc1" + bytes(7) + b"\1"
    assert read_pixels(data, "a", (3, 1, 3))[:, 0].T.tolist() == [[10, 20, 30]] * 3


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("format", ["PPM", "JPEG2000", "ICO", "AVIF", "TGA", "DDS", "SGI", "PCX"])
def test_class_folders_of_them(tmp_path: Path, place: str, format: str) -> None:
    ending = {"PPM": "ppm", "JPEG2000": "jp2"}.get(format, format.lower())
    options = {"sizes": [(24, 20)]} if format == "ICO" else {}
    entries: dict[str, bytes | str | None] = {
        f"{kind}/{n}.{ending}": encoded(image(seed=10 * at + n), format, **options)
        for at, kind in enumerate(("cat", "dog")) for n in range(3)
    }  # fmt: skip
    path = write_entries(tmp_path, place, entries)
    data = load(path, cache_size=0)
    assert data.receipt is not None
    assert (data.receipt.totals, data.receipt.problems) == ({"cat": 3, "dog": 3}, ())
    if place == "folder":
        assert len(image_files(path)) == 6
    ids = {f"images/{name.replace('/', '')}": content for name, content in entries.items()}
    rows = "\n".join(f"{name.replace('/', '').split('.')[0]},{name[:3]}" for name in entries)
    data = load(write_entries(tmp_path / "table", place, ids | {"labels.csv": f"id,label\n{rows}"}), cache_size=0)
    assert data.receipt is not None
    assert (data.receipt.totals, data.receipt.problems) == ({"cat": 3, "dog": 3}, ())


@pytest.mark.parametrize(("data", "what"), [
    (PAM, "a PAM image, which is not read: save it as PNG"),
    (b"PF\n2 1\n-1.0\n" + bytes(24), "a colour PFM image, which is not read: save it as PNG"),
    (b"\xff\x0a" + bytes(20), "a JPEG XL image, which is not read: save it as PNG"),
])  # fmt: skip
def test_relatives_that_are_not_read(data: bytes, what: str) -> None:
    with pytest.raises(ItemError) as caught:
        read_header(data, "a.jpg")
    assert caught.value.problem == items.FileProblem("a.jpg", what, items.NOT_AN_IMAGE)
    assert str(caught.value) == f"a.jpg is {what.replace(': ', '; ')}"


AVIF = struct.pack(">I", 28) + b"ftypmif1\0\0\0\0mif1avifmiaf" + bytes(40)


@pytest.mark.parametrize(("data", "format", "version"), [
    (AVIF, "an AVIF", "11.3"), (AVIF.replace(b"ftypmif1", b"ftypavis"), "an AVIF", "11.3"),
    (b"\xff\x4f\xff\x51" + bytes(40), "a JPEG 2000", "2.4"),
    (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "a JPEG 2000", "2.4"),
])  # fmt: skip
def test_a_pillow_without_the_decoder(data: bytes, format: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_plugins, "available", lambda name: name not in pillow_plugins.OPTIONAL)
    with pytest.raises(ItemError) as caught:
        read_header(data, "a.png")
    assert str(caught.value) == (
        f"a.png is {format} image, which Pillow {pillow_plugins.PIL.__version__} as it is installed does not decode; "
        f"install Pillow {version} or later with {format.split(' ', 1)[1]}, or save it as PNG"
    )


def test_what_only_looks_like_them() -> None:
    for data in (b"P1 is the first of them", b"P6\n", bytes(90), b"\n\5\1 a text", b"\1\xda", b"\0\0\2\0\1\0", b"DDS",
                 b"\0\0\1\0\0\0" + bytes(60), b"\0\0\1\0\1\0" + bytes(60)):  # fmt: skip
        assert recognise(data) in (None, "DDS"), data
    generator = random.Random(0)
    assert not any(recognise(generator.randbytes(100)) for _ in range(20_000))


@pytest.mark.parametrize("format", ["PPM", "JPEG2000", "ICO", "AVIF", "TGA", "DDS", "SGI", "PCX"])
def test_damage_is_an_item_error(format: str) -> None:
    whole, generator = encoded(image(), format), random.Random(1)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(min(len(data), generator.choice((40, len(data)))))] = generator.randrange(256)
        data = data[: generator.choice((len(data), generator.randrange(len(data))))]
        for read in (lambda: read_header(bytes(data), "a"), lambda: read_pixels(bytes(data), "a", (3, 8, 8))):  # noqa: B023
            try:
                read()
            except ItemError as error:
                assert str(error).startswith("a ") or str(error).startswith("a:")


def test_icons_and_codestreams_that_lie_about_their_size() -> None:
    icon = bytearray(encoded(image("RGBA"), "ICO", sizes=[(24, 20)]))
    at = icon.index(b"IHDR") + 4
    icon[at : at + 8] = struct.pack(">2I", 20_000, 20_000)
    stream = bytearray(encoded(image(), "JPEG2000"))
    at = stream.index(b"\xff\x4f\xff\x51") + 8
    stream[at : at + 8] = struct.pack(">2I", 30_000, 30_000)
    for data in (icon, stream):
        for read in (lambda: read_header(bytes(data), "a"), lambda: read_pixels(bytes(data), "a", (3, 8, 8))):  # noqa: B023
            with pytest.raises(ItemError, match="pixels, too large to decode safely") as caught:
                read()
            assert caught.value.problem.kind == items.TOO_LARGE
