"""`data.load`: the built-in digits, IDX folders, folders of class folders, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from opsin.data import Dataset, Pictures, Preprocessing, load
from opsin.data.dataset import split
from opsin.errors import DataError
from tests.data.files import noise, write_idx, write_mnist, write_picture, write_stripes


def message(source: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(source)
    text = str(caught.value)
    assert text.count("\n") <= 1
    return text


def test_the_built_in_digits() -> None:
    digits = load("digits")
    assert digits.shape == (1, 28, 28)
    assert digits.classes == tuple("0123456789")
    assert digits.train.counts() == [500] * 10
    assert digits.test.counts() == [100] * 10
    assert digits.own_split
    together = np.concatenate([digits.train.pixels, digits.test.pixels])
    assert len({picture.tobytes() for picture in together}) == 6000, "a held-out digit is among those trained on"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_folder(tmp_path: Path, suffix: str) -> None:
    data = load(write_mnist(tmp_path / "mini", suffix=suffix))
    assert (data.name, data.shape, data.classes, data.own_split) == ("mini", (1, 5, 6), ("0", "1", "2"), True)
    assert np.array_equal(data.train.pixels[:, 0], noise(30, 30, 5, 6))
    assert data.test.labels.tolist() == [i % 3 for i in range(10)]
    assert data.train.labels.dtype == np.int32


def test_an_idx_folder_without_a_test_part_is_divided(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path)
    for path in folder.glob("t10k*"):
        path.unlink()
    data = load(folder)
    assert (len(data.train), len(data.test), data.own_split) == (24, 6, False)


def test_damaged_idx_folders(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "a")
    (folder / "train-labels-idx1-ubyte").unlink()
    assert "holds train-images-idx3-ubyte but not its labels, train-labels-idx1-ubyte[.gz]" in message(folder)

    folder = write_mnist(tmp_path / "b", suffix=".gz")
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:200])
    assert message(folder) == f"{images} is cut short or damaged; fetch the file again"
    images.write_bytes(b"no gzip")
    assert "is not a gzip file" in message(folder)
    images.write_bytes(gzip.compress(b"\0\0\x0d\x03" + bytes(12)))
    assert "is not an IDX file of bytes in 3 dimensions" in message(folder)

    folder = write_mnist(tmp_path / "c")
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    assert message(folder) == f"{images} holds 800 values where its header promises 900; fetch it again"
    write_idx(images, noise(0, 29, 5, 6))
    assert "holds 30 labels, train-images-idx3-ubyte 29 pictures; use files that belong together" in message(folder)
    write_idx(images, noise(0, 30, 6, 6))
    assert "differ in size" in message(folder)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(30, np.uint8))
    write_idx(images, noise(0, 30, 5, 6))
    assert "holds pictures of one class only ('0')" in message(folder)
    images.unlink()
    assert "holds no training pictures" in message(folder)


def test_class_folders_are_divided_the_same_way_every_time(tmp_path: Path) -> None:
    data = load(write_stripes(tmp_path / "stripes"))
    assert (data.name, data.shape, data.classes, data.own_split) == (
        "stripes",
        (1, 12, 12),
        ("lying", "standing"),
        False,
    )
    assert data.train.counts() == [16, 16]
    assert data.test.counts() == [4, 4]
    again = load(tmp_path / "stripes")
    assert np.array_equal(data.test.pixels, again.test.pixels)
    assert data.fingerprint == again.fingerprint
    assert len(data.everything()) == 40


@pytest.mark.parametrize("test_name", ["test", "val", "validation"])
def test_class_folders_with_a_division_of_their_own(tmp_path: Path, test_name: str) -> None:
    write_stripes(tmp_path / "train", 5)
    write_stripes(tmp_path / test_name, 2)
    data = load(tmp_path)
    assert (data.train.counts(), data.test.counts(), data.own_split) == ([5, 5], [2, 2], True)


def test_a_train_folder_alone_is_divided_and_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_stripes(tmp_path / "a" / "train", 5)
    assert load(tmp_path / "a").test.counts() == [1, 1]
    for kind in ("plane", "train"):
        for number in range(3):
            write_picture(tmp_path / "b" / kind / f"{number}.png", noise(number, 4, 4))
    assert load(tmp_path / "b").classes == ("plane", "train")


def test_hidden_files_and_litter_are_no_pictures(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path, 3)
    (folder / "lying" / ".DS_Store").touch()
    (folder / "lying" / "Thumbs.db").touch()
    (folder / ".cache").mkdir()
    (folder / "readme.txt").touch()
    assert len(load(folder).everything()) == 6


def test_sizes_and_colours_follow_the_pictures(tmp_path: Path) -> None:
    for number, shape in enumerate([(40, 50, 3), (30, 20, 3), (100, 90, 3), (48, 48)]):
        write_picture(tmp_path / "mixed" / f"c{number % 2}" / f"{number}.png", noise(number, *shape))
    assert load(tmp_path / "mixed").shape == (3, 44, 44)

    for number in range(4):
        grey = np.repeat(noise(number, 9, 11)[..., None], 3, axis=2)
        write_picture(tmp_path / "grey" / f"c{number % 2}" / f"{number}.png", grey)
    assert load(tmp_path / "grey").shape == (1, 9, 11), "grey pictures saved as RGB"

    for number in range(4):
        write_picture(tmp_path / "large" / f"c{number % 2}" / f"{number}.jpg", noise(number, 200, 300, 3))
    assert load(tmp_path / "large").shape == (3, 64, 64)
    like = Preprocessing(1, 10, 12, (0.5,), (0.2,))
    assert load(tmp_path / "large", like).shape == (1, 10, 12)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    assert message(tmp_path / "nowhere").startswith(f"{tmp_path}/nowhere: there is no such folder; give 'digits'")
    assert "holds no pictures in class folders; put each class's pictures into a folder" in message(tmp_path)
    assert "there is no such folder" in message(tmp_path / ("x" * 300))
    (tmp_path / "photos.zip").touch()
    assert message(tmp_path / "photos.zip").startswith(f"{tmp_path}/photos.zip is a file; give 'digits'")

    one = tmp_path / "one"
    write_picture(one / "cat" / "1.png", noise(0, 4, 4))
    write_picture(one / "cat" / "2.png", noise(0, 4, 4))
    assert (
        message(one)
        == f"{one} holds pictures of one class only ('cat'); training needs pictures of at least two classes"
    )
    write_picture(one / "dog" / "1.png", noise(0, 4, 4))
    (one / "cat" / "2.png").unlink()
    assert "has one picture of each class; at least two are needed" in message(one)

    strange = tmp_path / "strange"
    write_stripes(strange / "train", 2)
    write_picture(strange / "test" / "slanted" / "1.png", noise(0, 12, 12))
    assert f"{strange}/test has a class 'slanted' that {strange}/train has not" in message(strange)


def test_files_in_class_folders_that_are_no_pictures(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path, 3)
    (folder / "lying" / "a.png").write_text("text")
    assert message(folder).startswith(f"{folder}/lying/a.png is not a picture")
    whole = (folder / "standing" / "1.png").read_bytes()
    (folder / "standing" / "1.png").write_bytes(whole[:-60])
    assert "\n" not in message(folder)
    (folder / "lying" / "a.png").unlink()
    assert f"{folder}/standing/1.png is damaged or cut short" in message(folder)
    (folder / "lying" / "0.png").write_bytes(whole[:-60])
    assert message(folder).endswith(f"\n2 of the 6 files in {folder} cannot be read.")


def test_split_keeps_a_lone_picture_for_training() -> None:
    labels = np.array([0] * 10 + [1], np.int32)
    data = split(Pictures(noise(0, 11, 1, 2, 2), labels, ("many", "one")), "x")
    assert isinstance(data, Dataset)
    assert data.train.counts() == [8, 1]
    assert data.test.counts() == [2, 0]
