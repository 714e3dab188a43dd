"""One range of values for all images of a data set: found, asked for, kept apart in the cache, kept in the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import opsin
from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset, Preprocessing, load
from opsin.data.ingest import decode
from tests.data.decode.tiffs import RGB, tiff
from tests.data.files import noise, stripes

SIDE, COUNT = 12, 12


def shades(kind: str, number: int) -> NDArray[np.float64]:
    """0 to 1; the images of a data set are of different brightness, and only one goes up to white."""
    made = stripes(kind, number, SIDE) / 255 * (number + 1) / COUNT
    made[0, 0] = 0
    if number == COUNT - 1:
        made[0, 1] = 1
    return made


def write(folder: Path, kind: str, scale: float, shift: float = 0.0, bands: int = 1) -> Path:
    """A data set of two classes, of TIFFs of `kind`."""
    for label in ("lying", "standing"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(COUNT):
            values = np.repeat((shades(label, number) * scale + shift)[..., None], bands, axis=2)
            (folder / label / f"{number}.tif").write_bytes(tiff(values.astype(kind), RGB if bands == 3 else 1))
    return folder


def pixels_of(data: Dataset) -> dict[str, NDArray[np.uint8]]:
    everything = data.all_images()
    assert everything.names is not None
    return dict(zip(everything.names, everything.pixels[:], strict=True))


@pytest.mark.parametrize(("kind", "scale", "shift", "expected"), [
    ("float32", 1, 0, (0, 1)), ("float32", 255, 0, (0, 255)), ("float32", 300, 0, (0, 300)), ("float64", 1, 0, (0, 1)),
    ("float16", 1, 0, (0, 1)), ("float32", 2, -1, (-1, 1)),
    ("uint16", 255, 0, (0, 255)), ("uint16", 4080, 0, (0, 4095)),
    ("uint16", 65535, 0, (0, 65535)), ("int16", 2040, -800, (-800, 1240)), ("uint32", 4e9, 0, (0, 2**32 - 1)),
    ("int32", 1000, 0, (0, 1023)),
])  # fmt: skip
@pytest.mark.parametrize("bands", [1, 3])
def test_one_range_for_all(
    tmp_path: Path, kind: str, scale: float, shift: float, expected: tuple[float, float], bands: int
) -> None:
    data = load(write(tmp_path / "data", kind, scale, shift, bands))
    assert data.pixel_range == expected
    assert data.receipt is not None
    low, high = expected
    for name, pixels in pixels_of(data).items():
        label, number = name.split("/")
        values = (shades(label, int(number.removesuffix(".tif"))) * scale + shift).astype(kind).astype(np.float64)
        assert np.abs(pixels - (values - low) / (high - low) * 255).max() <= 1.01
    assert f"with more than 8 bits (24 of {kind})." in data.receipt.text()
    assert data.receipt.to_data()["pixel_range"] == expected and data.receipt.to_data()["deep"] == {kind: 24}


def test_a_range_that_is_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint16", 4080)
    data = load(folder, pixel_range=(0, 1000), size=SIDE)
    assert data.pixel_range == (0, 1000) and data.receipt is not None
    last = pixels_of(data)["standing/11.tif"]
    expected = ((shades("standing", 11) * 4080).astype(int) * 0.255).clip(0, 255)
    assert np.abs(last - expected).max() <= 1
    assert data.receipt.clipped > 10
    assert f"{data.receipt.clipped} of them exceed this range and are clipped." in data.receipt.text()
    with pytest.raises(UsageError, match="the pixel range is two numbers"):
        load(folder, pixel_range=(3, 3))


def test_a_range_for_bytes_is_not_used_and_that_is_said() -> None:
    with pytest.warns(UserWarning, match=r"^the pixel range is not used: all images of digits have 8 bits per channel"):
        assert load("digits", pixel_range=(0, 100)).pixel_range is None


def test_bytes_stay_what_they_are_beside_deeper_images(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint16", 4080)
    Image.fromarray(noise(1, SIDE, SIDE)).save(folder / "lying" / "bytes.png")
    data = load(folder)
    assert np.array_equal(pixels_of(data)["lying/bytes.png"][0], noise(1, SIDE, SIDE))
    assert data.receipt is not None and data.receipt.high_depth == {"uint16": 24}


def test_different_kinds_of_numbers_are_pointed_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint16", 4080)
    (folder / "lying" / "x.tif").write_bytes(tiff(np.random.default_rng(0).random((SIDE, SIDE, 1)).astype("f4")))
    data = load(folder)
    assert data.receipt is not None
    assert "Their types differ, so they may use different scales." in data.receipt.text()


def test_what_is_left_out_of_files_is_on_the_receipt(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint8", 255, bands=3)
    (folder / "lying" / "infrared.tif").write_bytes(tiff(noise(0, SIDE, SIDE, 4), RGB, (0,)))
    for _ in range(2):
        receipt = load(folder).receipt
        assert receipt is not None and not receipt.problems
        text = "lying/infrared.tif: of its 4 bands, only red, green and blue are used"
        assert f"\n1 file with content that is ignored\n  {text}" in receipt.text()
        assert receipt.to_data()["remarks"] == (dict(zip(("name", "left_out"), text.split(": "), strict=True)),)


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_cache_keeps_scales_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    monkeypatch.setattr(decode, "MIN_CACHED_BYTES", 0)
    if not in_memory:
        monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", 10)
    folder = write(tmp_path / "data", "uint16", 4080)
    Image.fromarray(noise(1, SIDE, SIDE)).save(folder / "lying" / "bytes.png")

    def fresh(**options: Any) -> dict[str, NDArray[np.uint8]]:
        return pixels_of(load(folder, cache_size=0, size=SIDE, **options))

    def check(cached: int | None, **options: Any) -> None:
        data = load(folder, size=SIDE, **options)
        actual, expected = pixels_of(data), fresh(**options)
        assert actual.keys() == expected.keys()
        assert all(np.array_equal(actual[name], expected[name]) for name in actual)
        if cached is not None:
            assert data.receipt is not None and data.receipt.cached == cached

    check(0)
    check(25)
    check(None, pixel_range=(0, 60000))
    check(25, pixel_range=(0, 60000))
    check(25)
    brighter = folder / "standing" / "brighter.tif"
    brighter.write_bytes(tiff(np.full((SIDE, SIDE, 1), 50000, np.uint16)))
    check(None)
    check(26)
    brighter.unlink()
    check(None)
    check(25)


def test_the_model_keeps_the_range(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint16", 4080)
    opsin.train("lenet5", load(folder), epochs=1).save(tmp_path / "m.opsin")
    model = opsin.load(tmp_path / "m.opsin")
    assert model.preprocessing.pixel_range == (0, 4095)
    dim = folder / "lying" / "2.tif"  # alone it would be taken for one of another scale
    assert np.array_equal(model.preprocessing.read(dim, "2"), pixels_of(load(folder))["lying/2.tif"])
    assert np.array_equal(
        model.preprocessing.read(dim, "2"), pixels_of(load(folder, model.preprocessing))["lying/2.tif"]
    )
    array = (shades("lying", 2) * 4080).astype(np.uint16)[None, None]
    assert np.array_equal(model.logits(array), model.logits(model.preprocessing.read(dim, "2")[None]))


def known(pixel_range: tuple[float, float] | None) -> Preprocessing:
    return Preprocessing(1, SIDE, SIDE, (0.5,), (0.5,), pixel_range=pixel_range)


@pytest.mark.parametrize(("pixel_range", "kind", "scale", "text"), [
    ((0, 4095), "uint16", 65535, "a has uint16 values from 0 to 65,535; the pixel range of the model "
     "is 0 to 4,095, and values outside it are clipped"),
    ((0, 1), "float32", 255, "a has float32 values from 0 to 255; the pixel range of the model is "
     "0 to 1, and values outside it are clipped"),
    ((0, 4095), "float32", 1, "a has float32 values from 0 to 1, nearly black in the model's pixel "
     "range of 0 to 4,095; it may use another scale"),
    (None, "float32", 1, "and the model has no pixel range for them, so this image alone determines"),
    (None, "uint16", 4080, "a has uint16 values from 0 to 4,080, and the model has no pixel range for them"),
])  # fmt: skip
def test_values_that_a_model_does_not_know_are_pointed_out(
    pixel_range: tuple[float, float] | None, kind: str, scale: float, text: str
) -> None:
    file = tiff((shades("lying", COUNT - 1) * scale)[..., None].astype(kind))
    with pytest.warns(UserWarning) as seen:
        known(pixel_range).read(file, "a")
    assert text in str(seen[0].message)


def test_values_that_a_model_knows_are_read_in_silence() -> None:
    known((0, 4095)).read(tiff((shades("lying", 5) * 4080)[..., None].astype(np.uint16)), "a")
    known(None).read(tiff((shades("lying", COUNT - 1) * 65535)[..., None].astype(np.uint16)), "a")
    with pytest.warns(UserWarning, match="^a: of its 4 bands, only red, green and blue are used$"):
        known(None).read(tiff(noise(0, SIDE, SIDE, 4), RGB, (0,)), "a")


def test_measuring_outside_the_range_of_the_model_is_pointed_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "uint16", 65535)
    with pytest.warns(UserWarning, match="images of data have values outside the model's pixel range, 0 to 4,095; "):
        load(folder, known((0, 4095)))


def test_preprocessing_with_a_range_is_kept_as_data() -> None:
    made = known((-1.0, 2.5))
    data = made.to_data()
    assert Preprocessing.from_data(data) == made
    without = {key: value for key, value in data.items() if key != "pixel_range"}  # as older models have it
    assert Preprocessing.from_data(without) == known(None)
    for bad in ([1.0, 1.0], [2.0, 1.0], [0.0, float("inf")]):
        with pytest.raises(DataError, match="the preprocessing's numbers make no sense"):
            Preprocessing.from_data({**data, "pixel_range": bad})
    for bad in ([1.0], "x", 7, [None, 1]):
        with pytest.raises(DataError, match="the preprocessing is not described completely"):
            Preprocessing.from_data({**data, "pixel_range": bad})
