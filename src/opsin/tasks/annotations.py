"""Annotated images as a task's reader finds them in a folder or an archive, before an image is decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from opsin.base.path_words import IMAGE_ENDINGS, PHOTO_ENDINGS

ImageSize = Callable[[str], tuple[int, int] | None]
"""Returns the height and width of the image at a path as the decoder gives it; None if it cannot be read."""


class Files(Protocol):
    """The files of a folder or an archive, by paths relative to it.

    If the samples are no images, the files also have a `kind`, such as "sound", and `sample_endings`, the extensions of
    the samples. Rows of tables are such files, too, if they hold the samples themselves.
    """

    @property
    def name(self) -> str:
        """The name of the data, such as that of its folder."""

    @property
    def paths(self) -> Sequence[str]:
        """The paths of all files, separated by "/", sorted."""

    def read(self, path: str) -> bytes:
        """Return the content of one of the `paths`. Raise `DataError` if it cannot be read."""


def kind_of(files: Files) -> str:
    """Return the kind of the samples, such as "sound"; "" for images."""
    return str(getattr(files, "kind", ""))


def sample_endings(files: Files) -> tuple[str, ...]:
    """Return the extensions of the samples."""
    endings: tuple[str, ...] = getattr(files, "sample_endings", IMAGE_ENDINGS + PHOTO_ENDINGS)
    return endings


@dataclass(frozen=True, slots=True)
class Problem:
    """An annotation or a file that cannot be used. `kind` is a stable key for programs, such as "empty box"."""

    name: str
    """What it is about: a path, or a path and a line: "labels.csv, line 3"."""
    reason: str
    """A phrase, such as "the box lies outside the image"."""
    kind: str


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image with its target, in the form in which the task's reader gives it."""

    path: str
    """One of the `Files.paths`."""
    target: Any
    split: str = ""
    """"train", "validation", "test", or "" if the data does not say."""


@dataclass(frozen=True)
class Annotations:
    """The result of a task's reader: what is used, what is not, and sentences for the receipt of the data.

    `settings` are the arguments of the task that the data determines, such as `classes`.
    """

    images: Sequence[AnnotatedImage]
    settings: dict[str, Any]
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    form: str = ""
    """What the annotations are, for people: "Pascal VOC XML"."""
    counts: dict[str, int] = field(default_factory=dict)
    """The number of annotations by class, for the receipt."""
    split_note: str = ""
    """Where the splits of the images come from, if not from the data: "the last fifth of the drive is tested on"."""
