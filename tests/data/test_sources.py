"""`data.load`: the built-in digits, IDX folders, folders of class folders, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import load
from tests.data.files import noise, write_idx, write_image, write_mnist, write_stripes


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
    assert digits.train.counts() == [450] * 10
    assert digits.test.counts() == [100] * 10
    assert digits.predefined_split
    together = digits.all_images().pixels
    assert len({image.tobytes() for image in together}) == 6000, "a held-out digit is among those trained on"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_folder(tmp_path: Path, suffix: str) -> None:
    data = load(write_mnist(tmp_path / "mini", suffix=suffix))
    assert (data.name, data.shape, data.classes, data.predefined_split) == ("mini", (1, 5, 6), ("0", "1", "2"), True)
    assert (len(data.train), data.train.pixels.shape[1:]) == (27, (1, 5, 6))
    assert data.test.labels.tolist() == [i % 3 for i in range(10)]
    assert data.train.labels.dtype == np.int32


def test_an_idx_folder_without_a_test_split_gets_one(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path)
    for path in folder.glob("t10k*"):
        path.unlink()
    data = load(folder)
    assert (len(data.train), len(data.test), data.predefined_split) == (21, 6, False)


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
    assert "holds 30 labels, train-images-idx3-ubyte 29 images; use files that belong together" in message(folder)
    write_idx(images, noise(0, 30, 6, 6))
    assert "differ in size" in message(folder)
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(30, np.uint8))
    write_idx(images, noise(0, 30, 5, 6))
    assert "holds images of one class only ('0')" in message(folder)
    images.unlink()
    assert "holds no training images" in message(folder)


def test_ignored_files_are_not_images(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path, 3)
    (folder / "lying" / ".DS_Store").touch()
    (folder / "lying" / "Thumbs.db").touch()
    (folder / ".cache").mkdir()
    (folder / "readme.txt").touch()
    assert len(load(folder).all_images()) == 6


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert message(nowhere).startswith(f"{nowhere}: there is no such folder or file; give 'digits'")
    assert "holds no images in class folders; put each class's images into a separate folder" in message(tmp_path)
    assert "there is no such folder" in message(tmp_path / ("x" * 300))
    (tmp_path / "photos.zip").touch()
    assert message(tmp_path / "photos.zip").startswith(f"{tmp_path}/photos.zip is an empty file; give 'digits'")

    one = tmp_path / "one"
    write_image(one / "cat" / "1.png", noise(0, 4, 4))
    write_image(one / "cat" / "2.png", noise(0, 4, 4))
    assert (
        message(one) == f"{one} holds images of one class only ('cat'); training needs images of at least two classes"
    )

    strange = tmp_path / "strange"
    write_stripes(strange / "train", 2)
    write_image(strange / "test" / "slanted" / "1.png", noise(0, 12, 12))
    assert f"the test split of {strange} has a class 'slanted' that its training split lacks" in message(strange)
