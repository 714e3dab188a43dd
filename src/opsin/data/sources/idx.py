"""Read the IDX format of MNIST and similar data sets: LeCun, Cortes & Burges, "The MNIST database".

The values follow a big-endian header: two zero bytes, type, number of dimensions, then each dimension as 32 bits. The
files may be gzipped.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import Dataset, LabeledImages, check_classes

UNSIGNED_BYTE = 8
FILE_WORDS = {"train": ("train",), "test": ("t10k", "test")}


def find(folder: Path, needs_labels: bool = True) -> dict[str, tuple[Path, Path | None]]:
    """Return the files with images and labels of each split (train, test) in `folder`.

    Unless it `needs_labels`, those of labels may be missing.
    """
    files = {}
    for split, names in FILE_WORDS.items():
        images = [path for name in names for path in sorted(folder.glob(f"*{name}-images?idx3-ubyte*"))]
        if images:
            files[split] = (images[0], _labels_file(images[0], needs_labels))
    return files


def _labels_file(images: Path, needs_labels: bool) -> Path | None:
    """Return the file with the labels of `images`, gzipped or not; None if it may be missing and is."""
    stem = images.name.replace("-images", "-labels").replace("idx3", "idx1").removesuffix(".gz")
    for name in (stem, stem + ".gz"):
        if (images.parent / name).is_file():
            return images.parent / name
    if not needs_labels:
        return None
    raise DataError(f"{images.parent} holds {images.name} but not its labels, {stem}[.gz]; put both into the folder")


def load_idx(folder: Path, files: dict[str, tuple[Path, Path | None]]) -> Dataset:
    """Return the data set of a folder of IDX files; if a file of labels is missing, all labels are 0.

    Raise `DataError` for damaged or missing files.
    """
    if "train" not in files:
        raise DataError(f"{folder} holds no training images (train-images-idx3-ubyte[.gz]); put them into the folder")
    has_labels = all(labels for _, labels in files.values())
    arrays = {split: _arrays(images, labels if has_labels else None) for split, (images, labels) in files.items()}
    for split, (pixels, labels) in arrays.items():
        if len(pixels) != len(labels):
            raise DataError(
                f"{files[split][1]} holds {len(labels):,} labels, {files[split][0].name} {len(pixels):,} images; "
                "use files that belong together"
            )
    classes = tuple(str(n) for n in range(1 + max(int(labels.max(initial=0)) for _, labels in arrays.values())))
    train = LabeledImages(*arrays["train"], classes)
    if has_labels:
        check_classes(train, str(folder))
    if "test" not in arrays:
        return Dataset(folder.resolve().name, train, None, predefined_split=False)
    if train.shape != arrays["test"][0].shape[1:]:
        raise DataError(f"{folder}: the training and the test images differ in size; use files that belong together")
    return Dataset(folder.resolve().name, train, LabeledImages(*arrays["test"], classes), predefined_split=True)


def _arrays(images: Path, labels: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    pixels = _images(images)
    return pixels, _labels(labels) if labels else np.zeros(len(pixels), np.int32)


def _images(path: Path) -> NDArray[np.uint8]:
    return _read(path, rank=3)[:, None]


def _labels(path: Path) -> NDArray[np.int32]:
    return _read(path, rank=1).astype(np.int32)


def _read(path: Path, rank: int) -> NDArray[np.uint8]:
    """Return the bytes in an IDX file of `rank` dimensions."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error):
        raise DataError(f"{path} is cut short or damaged; fetch the file again") from None
    except gzip.BadGzipFile:
        raise DataError(f"{path} is not a gzip file; fetch it again, or take '.gz' off its name") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) < 4 + 4 * rank or data[:4] != bytes((0, 0, UNSIGNED_BYTE, rank)):
        raise DataError(f"{path} is not an IDX file of bytes in {rank} dimension{'s' * (rank > 1)}; fetch it again")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    if len(values) != prod(shape):
        raise DataError(
            f"{path} holds {len(values):,} values where its header promises {prod(shape):,}; fetch it again"
        )
    return values.reshape(shape)
