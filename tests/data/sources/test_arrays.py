"""NPZ files: names and shapes that are understood, and those that are refused in words."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data import Dataset, load
from opsin.data.sources import open_source
from opsin.data.sources.arrays import _read
from tests.data.files import noise

GREY, LABELS = noise(0, 12, 5, 6), np.arange(12) % 3


def loaded(path: Path, **arrays: object) -> Dataset:
    np.savez(path / "a.npz", **arrays)
    data = open_source(path / "a.npz")
    assert isinstance(data, Dataset)
    return data


def everything(data: Dataset) -> NDArray[np.uint8]:
    return np.sort(data.all_images().pixels[:].reshape(-1))


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("X", "Y"), ("data", "target"),
                                      ("x_train", "y_train"), ("train_images", "train_labels")])  # fmt: skip
def test_names(tmp_path: Path, x: str, y: str) -> None:
    data = loaded(tmp_path, **{x: GREY, y: LABELS})
    assert (data.name, data.shape, data.classes, data.predefined_split) == ("a", (1, 5, 6), ("0", "1", "2"), False)
    assert np.array_equal(everything(data), np.sort(GREY.reshape(-1)))


def test_arrays_without_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", GREY, LABELS)
    assert len(open_source(tmp_path / "a.npz").all_images()) == 12


def test_splits(tmp_path: Path) -> None:
    data = loaded(
        tmp_path,
        x_train=GREY,
        y_train=LABELS,
        x_test=GREY[:6],
        y_test=LABELS[:6],
        x_val=GREY[6:9],
        y_val=LABELS[6:9],
    )
    assert data.predefined_split
    assert np.array_equal(data.train.pixels[:, 0], GREY)
    assert np.array_equal(data.test.pixels[:, 0], GREY[:6])
    assert np.array_equal(data.validation.pixels[:, 0], GREY[6:9])
    assert data.validation.labels.tolist() == LABELS[6:9].tolist()


def test_splits_that_are_incomplete_are_left_out_and_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=GREY, y_train=LABELS, x_test=GREY[:4], y_val=LABELS[:3])
    receipt = load(tmp_path / "a.npz").receipt
    assert receipt is not None and receipt.notes == (
        "'y_val' (3) is left out, as there are no images for it; name them 'x_validation' to use the validation split.",
        "'x_test' (4×5×6) is left out, as there are no labels for it; name them 'y_test' to use the test split.",
    )
    assert "'x_test' (4×5×6) is left out" in receipt.text()


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_or_last(tmp_path: Path, channels: int) -> None:
    first = noise(1, 12, channels, 5, 6)
    test = {"x_test": first, "y_test": LABELS}
    for arrays in ({"x_train": first, **test}, {"x_train": first.transpose(0, 2, 3, 1), **test}):
        data = loaded(tmp_path, y_train=LABELS, **arrays)
        assert np.array_equal(data.train.pixels, first)


@pytest.mark.parametrize(("labels", "classes", "numbers"), [
    (LABELS[:, None], ("0", "1", "2"), LABELS),
    (np.eye(3)[LABELS], ("0", "1", "2"), LABELS),
    (np.array(["b", "a", "ü"])[LABELS], ("a", "b", "ü"), np.array([1, 0, 2])[LABELS]),
    (np.array([b"b", b"a", b"c"])[LABELS], ("a", "b", "c"), np.array([1, 0, 2])[LABELS]),
    (LABELS.astype(np.uint8) + 1, ("0", "1", "2", "3"), LABELS + 1),
    (LABELS * 1000 - 1, ("-1", "999", "1999"), LABELS),
    (LABELS == 1, ("0", "1"), LABELS == 1),
])  # fmt: skip
def test_labels(tmp_path: Path, labels: object, classes: tuple[str, ...], numbers: NDArray[np.int64]) -> None:
    data = loaded(tmp_path, x_train=GREY, y_train=labels, x_test=GREY, y_test=labels)
    assert data.classes == classes
    assert data.train.labels.dtype == np.int32
    assert data.test.labels.tolist() == numbers.tolist()


def test_names_of_numbered_classes(tmp_path: Path) -> None:
    assert loaded(tmp_path, x=GREY, y=LABELS, class_names=np.array(["cat", "dog", "hat"])).classes == (
        "cat",
        "dog",
        "hat",
    )


@pytest.mark.parametrize(("arrays", "text"), [
    ({"x": GREY * 1j, "y": LABELS}, "the images are complex128; give real numbers, such as uint8 from 0 to 255"),
    ({"x": GREY.astype("U3"), "y": LABELS}, "the images are <U3; give real numbers, such as uint8 from 0 to 255"),
    ({"x": GREY / np.nan, "y": LABELS}, "the images hold NaN or infinity; replace these values, or remove the"),
    ({"x": GREY, "y": LABELS, "x_test": GREY / 255, "y_test": LABELS},
     "the images of the splits have different types (float64, uint8), and perhaps different scales; use the same"),
    ({"x": GREY * 1.0, "y": LABELS, "x_test": GREY.astype(int), "y_test": LABELS},
     "the images of the splits have different types (float64, int64), and perhaps different scales; use the same"),
    ({"x": noise(0, 12, 30), "y": LABELS}, "the images are 12×30; give N×height×width, N×height×width×channels or"),
    ({"x": noise(0, 12, 4, 5, 6), "y": LABELS}, "the images are 12×4×5×6; give"),
    ({"x": noise(0, 12, 3, 5, 3), "y": LABELS}, "are 12×3×5×3, in which the channels could be first or last"),
    ({"x": GREY, "y": LABELS[:7]}, "'x' is 12×5×6 and 'y' 7; give a label for each image"),
    ({"x": GREY, "y": LABELS / 2}, "the labels are float64; give whole numbers or text, of the same kind in all s"),
    ({"x": GREY, "y": np.ones((12, 3))}, "the labels are 12×3, and not one-hot; give a label for each image"),
    ({"x": GREY, "z": LABELS}, "holds 'x', 'z'; name the images x and their labels y, or x_train, y_train, x_test"),
    ({"x_test": GREY, "y_test": LABELS}, "holds no training images; name the arrays x_train and y_train, or x and y"),
    ({"x": GREY, "y": LABELS, "x_test": GREY[:, 1:], "y_test": LABELS}, "the images of the splits differ in size"),
    ({"x": GREY, "y": LABELS * 0}, "holds images of one class only ('0')"),
    ({"x": GREY[:0], "y": LABELS[:0]}, "the images are 0×5×6; give"),
    ({"x": GREY, "y": np.array([*LABELS[:-1], None])}, "holds Python objects, which are not read because they could r"),
    ({"x": np.uint8(3), "y": LABELS}, "'x' is one number and 'y' 12; give a label for each image"),
])  # fmt: skip
def test_arrays_that_cannot_be_used(tmp_path: Path, arrays: dict[str, object], text: str) -> None:
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, **arrays)
    assert str(caught.value).startswith(str(tmp_path / "a.npz"))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'shape': (",
        "{#'descr'",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 10**9)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,)}",
        "[]",
        "{1: 2}",
    ],
)
def test_headers_that_are_no_headers(header: str, tmp_path: Path) -> None:
    text = header.encode().ljust(116) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", content)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match=rf"{name} is damaged.*; save it again"):
            _read(tmp_path / name, needs_labels=False)


def test_damaged_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GREY, y=LABELS)
    whole = (tmp_path / "a.npz").read_bytes()
    for data in (whole[:-40], whole[:100] + b"?" * 50 + whole[150:]):
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(DataError, match=r"a\.npz is damaged( or cut short)? \(.*\); save it again"):
            open_source(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", GREY)
    with pytest.raises(DataError, match="is an array without labels; save both: numpy"):
        open_source(tmp_path / "b.npy")


def test_an_npz_by_any_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GREY, y=LABELS)
    (tmp_path / "a.npz").rename(tmp_path / "a.zip")
    assert isinstance(open_source(tmp_path / "a.zip"), Dataset)


SHADES = np.arange(12 * 5 * 6).reshape(12, 5, 6) % 256


@pytest.mark.parametrize(("images", "pixel_range"), [
    (SHADES.astype(np.uint16), (0, 255)), (SHADES, (0, 255)), ((SHADES << 4).astype(np.uint16), (0, 4095)),
    ((SHADES << 8).astype(np.uint16), (0, 65535)), (SHADES / 255, (0, 1)), ((SHADES / 255).astype("f2"), (0, 1)),
    (SHADES.astype("f4"), (0, 255)), (SHADES / 127.5 - 1, (-1, 1)), (SHADES - 100, (-100, 155)),
])  # fmt: skip
def test_any_numbers_become_bytes_on_one_scale(
    tmp_path: Path, images: NDArray[Any], pixel_range: tuple[float, float]
) -> None:
    """No advice to scale by hand, which may wrap round: what is meant follows from all parts together."""
    dim, labels = images.copy(), LABELS
    dim[:, 2:] = images.flat[0]
    np.savez(tmp_path / "a.npz", x_train=dim, y_train=labels, x_test=images, y_test=labels)
    data = load(tmp_path / "a.npz")
    assert data.pixel_range == pixel_range and data.receipt is not None
    assert np.abs(data.test.pixels[:, 0].astype(int) - SHADES).max() <= (images.dtype == np.float16)
    assert data.receipt.high_depth == {str(images.dtype): 24}
    assert f"(24 of {images.dtype})." in data.receipt.text()


def test_masks_become_black_and_white(tmp_path: Path) -> None:
    for kind in (bool, np.uint16, np.float32):
        np.savez(tmp_path / "a.npz", x=(SHADES > 99).astype(kind), y=LABELS)
        data = load(tmp_path / "a.npz")
        assert data.pixel_range == (0, 1)
        assert set(np.unique(data.train.pixels)) == {0, 255}


def test_a_range_for_arrays_that_is_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=SHADES.astype(np.uint16), y=LABELS)
    data = load(tmp_path / "a.npz", pixel_range=(0, 510))
    assert data.pixel_range == (0, 510)
    assert data.all_images().pixels[:].max() == 128
    with pytest.warns(UserWarning, match=r"has values from 0 to 255; 0 is black and 100 white: they are clipped if"):
        load(tmp_path / "a.npz", pixel_range=(0, 100))
    with pytest.warns(UserWarning, match="0 is black and 65,535 white: they are nearly black on this scale"):
        open_source(tmp_path / "a.npz", (0.0, 65535.0))
