"""A folder with one folder of pictures for each class, divided into train/ and test/ or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.data.dataset import Dataset, Pictures, check_classes, split
from opsin.data.pictures import Header, read_header, read_picture
from opsin.data.preprocessing import Preprocessing
from opsin.errors import DataError

MAX_SIDE = 64
"""Pictures that are larger or of different sizes become squares, of this side at most."""

TEST_NAMES = ("test", "val", "valid", "validation")
LITTER = {"thumbs.db", "desktop.ini", "icon\r"}
"""What file managers leave in folders of pictures, besides hidden files."""

T = TypeVar("T")
File = tuple[Path, str]


def load_folders(folder: Path, like: Preprocessing | None) -> Dataset:
    """The dataset of a folder; its pictures are made as `like` says, or by what most of them are."""
    train_folder, test_folder = _parts(folder)
    train_files = _class_files(train_folder or folder)
    if not train_files:
        raise DataError(
            f"{folder} holds no pictures in class folders; put each class's pictures into a folder "
            f"of its own: {folder}/cat/1.jpg, {folder}/dog/1.jpg, …"
        )
    classes = tuple(sorted({label for _, label in train_files}))
    test_files = _class_files(test_folder) if test_folder else []
    strangers = sorted({label for _, label in test_files} - set(classes))
    if strangers:
        raise DataError(
            f"{test_folder} has a class '{strangers[0]}' that {train_folder} has not; name the folders alike"
        )
    pixels = _decode([path for path, _ in (*train_files, *test_files)], folder, like)
    labels = np.array([classes.index(label) for _, label in (*train_files, *test_files)], np.int32)
    train = Pictures(pixels[: len(train_files)], labels[: len(train_files)], classes)
    check_classes(train, str(train_folder or folder))
    name = folder.resolve().name
    if not test_files:
        return split(train, name)
    return Dataset(
        name, train, Pictures(pixels[len(train_files) :], labels[len(train_files) :], classes), own_split=True
    )


def _parts(folder: Path) -> tuple[Path | None, Path | None]:
    """train/ and test/ inside the folder, if it is divided that way; "train" may also be a class of vehicles."""
    train = folder / "train"
    if not train.is_dir() or not any(path.is_dir() for path in train.iterdir()):
        return None, None
    tests = (folder / name for name in TEST_NAMES)
    return train, next((path for path in tests if path.is_dir()), None)


def picture_files(folder: Path) -> list[Path]:
    """Every file in the folder and the folders inside it, in order, without hidden files and litter."""

    def wanted(path: Path) -> bool:
        inside = path.relative_to(folder).parts
        return path.is_file() and path.name.lower() not in LITTER and not any(part[0] == "." for part in inside)

    return [path for path in sorted(folder.rglob("*")) if wanted(path)]


def _class_files(folder: Path) -> list[File]:
    """Each picture's path and class, by the folder it is in."""
    kinds = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [(path, kind.name) for kind in kinds for path in picture_files(kind)]


def _decode(paths: list[Path], folder: Path, like: Preprocessing | None) -> NDArray[np.uint8]:
    """All pictures, uint8 N×C×H×W, decoded on every core (Pillow works outside Python's lock)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if like is not None:
            read: Callable[[Path], NDArray[np.uint8]] = lambda path: like.read(path, str(path))  # noqa: E731
            return np.stack(_each(pool, read, paths, folder))
        headers = _each(pool, lambda path: read_header(path, str(path)), paths, folder)
        shape = common_shape(headers)
        pixels = np.stack(_each(pool, lambda path: read_picture(path, str(path), shape), paths, folder))
    if shape[0] == 3 and (pixels == pixels[:, :1]).all():  # grey pictures saved as RGB
        return np.ascontiguousarray(pixels[:, :1])
    return pixels


def common_shape(headers: list[Header]) -> tuple[int, int, int]:
    """Channels, height and width that suit all pictures."""
    channels = 1 if all(header.grey for header in headers) else 3
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) == 1 and max(next(iter(sizes))) <= MAX_SIDE:
        return channels, *next(iter(sizes))
    side = min(MAX_SIDE, int(np.median([min(header.height, header.width) for header in headers])))
    return channels, side, side


def _each(pool: ThreadPoolExecutor, work: Callable[[Path], T], paths: list[Path], folder: Path) -> list[T]:
    """`work` for every path; one error names the first file that failed and how many did."""

    def attempt(path: Path) -> T | DataError:
        try:
            return work(path)
        except DataError as error:
            return error

    results = list(pool.map(attempt, paths))
    failures = [result for result in results if isinstance(result, DataError)]
    if failures:
        more = (
            f"\n{len(failures):,} of the {len(paths):,} files in {folder} cannot be read." if len(failures) > 1 else ""
        )
        raise DataError(f"{failures[0]}{more}")
    return [result for result in results if not isinstance(result, DataError)]
