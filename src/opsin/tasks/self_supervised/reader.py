"""Read folders of images, at any depth: photos/1.jpg, photos/2019/summer/2.jpg, photos/train/cats/3.jpg."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import DataError
from opsin.base.path_words import TRAIN, is_image, split_named
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.problems import UNREADABLE_IMAGE

FORM = "images without labels"
MIN_IMAGES = 32
"""Fewer images are refused: a batch of a handful has nothing to tell apart."""


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return all images with the folders that they lie in; None if there are none.

    Folders below one that is named after a split are in that split, if there is one to train on. Raise `DataError` if
    there are fewer than `MIN_IMAGES`.
    """
    paths = list(filter(is_image, files.paths))
    readable = [path for path in paths if image_size(path) is not None]
    problems = [Problem(path, "the image cannot be read", UNREADABLE_IMAGE) for path in set(paths) - set(readable)]
    if not readable:
        return None
    folders = _folders(readable)
    splits = [split_named(parts[0]) if parts else "" for parts in folders]
    if TRAIN not in splits:
        splits = [""] * len(splits)
    targets = ["/".join(parts[1:] if split else parts) for parts, split in zip(folders, splits, strict=True)]
    images = [AnnotatedImage(*row) for row in zip(readable, targets, splits, strict=True)]
    return in_folders(files.name, images, sorted(problems, key=lambda each: each.name))


def in_folders(source: str, images: Sequence[AnnotatedImage], problems: Sequence[Problem] = ()) -> Annotations:
    """Return images whose targets are their folders. Raise `DataError` if there are fewer than `MIN_IMAGES`."""
    check_count(source, len(images))
    names = tuple(sorted({image.target for image in images}))
    return Annotations(images, {"names": names}, problems, _notes(names), FORM)


def check_columns(columns: Sequence[str]) -> None:
    """Raise `DataError` if columns of a table are named."""
    if columns:
        raise DataError("learning without labels needs no column of a table; leave --target out")


def check_count(source: str, count: int) -> None:
    """Raise `DataError` if there are fewer than `MIN_IMAGES`."""
    if count < MIN_IMAGES:
        raise DataError(
            f"{source} holds {count} images that can be read; learning without labels needs at least {MIN_IMAGES}, "
            "better thousands"
        )


def _folders(paths: Sequence[str]) -> list[list[str]]:
    """Return the folders of each image, without those that hold everything, unless these are named after a split."""
    folders = [path.split("/")[:-1] for path in paths]
    count = 0
    while len({tuple(parts[: count + 1]) for parts in folders}) == 1 and min(map(len, folders)) > count + 1:
        if split_named(folders[0][count]):
            break
        count += 1
    return [parts[count:] for parts in folders]


def _notes(names: Sequence[str]) -> list[str]:
    if len(names) < 2:
        return []
    return [
        f"{len(names):,} folders. Nothing is learned from their names; if they are classes, the scores by folder tell "
        "how well features separate these."
    ]
