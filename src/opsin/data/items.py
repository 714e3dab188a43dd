"""Labelled files before they are decoded: the items that a source lists, and the problems of unusable files."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from opsin.base.errors import DataError

EMPTY = "empty"
DAMAGED = "damaged"
NOT_AN_IMAGE = "no image"
TOO_LARGE = "too large"
FORBIDDEN = "forbidden"
SPECIAL = "special"
LOOP = "loop"
REPEATED = "repeated"
MISSING = "missing"
UNLABELLED = "unlabelled"
UNREADABLE = "unreadable"
PROBLEM_KINDS = (
    EMPTY,  # no bytes
    DAMAGED,  # an image that is cut short or broken inside
    NOT_AN_IMAGE,  # another file, or an image format that is not supported
    TOO_LARGE,  # more bytes or pixels than the limits allow
    FORBIDDEN,  # no permission to read it
    SPECIAL,  # a folder, pipe, socket or device
    LOOP,  # a link in a circle of links
    REPEATED,  # a second link to the same folder, or a path that a table lists twice
    MISSING,  # a link or a table names it, but it does not exist
    UNLABELLED,  # an image without a class
    UNREADABLE,  # an error of the disk or the archive
)
"""The kinds of problems: stable keys for programs."""

TRAIN, VALIDATION, TEST, UNSPLIT = "train", "validation", "test", ""
SPLITS = (TRAIN, VALIDATION, TEST)

SPOOFING = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Line separators and changes of writing direction, which would make a list of names misleading."""


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled image of a source."""

    name: str
    """Its path in messages, unique in its source: "train/hat/a.jpg", "photos.zip/hat/a.jpg"."""
    label: str
    split: str
    """`TRAIN`, `VALIDATION`, `TEST`, or `UNSPLIT` if the source does not say."""
    group: str = ""
    """What it comes from, such as a film: all samples of a group are on one side of a split. "": it is alone."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that was expected to be an image and cannot be used."""

    name: str
    reason: str
    """A phrase such as "cut short", "empty" or "not an image"."""
    kind: str
    """One of `PROBLEM_KINDS`."""


class ItemError(DataError):
    """An item cannot be used. The text names it and says what to do; `problem` is the entry for the receipt."""

    def __init__(self, text: str, problem: FileProblem) -> None:
        super().__init__(text)
        self.problem = problem


class Source(Protocol):
    """Labelled files that are listed but not read.

    A source may also have `empty`, the names of classes without files, `notes`, sentences for the receipt, and
    `unlabelled`, the tree of images without labels in a folder next to those of classes (see `unlabelled_part`).
    """

    @property
    def name(self) -> str:
        """The name of the data, such as that of its folder."""

    @property
    def items(self) -> Sequence[Item]:
        """All files with a label, in an order that depends only on the content of the source."""

    @property
    def problems(self) -> Sequence[FileProblem]:
        """The problems found while listing; their files are not among the items."""

    def read(self, index: int) -> bytes:
        """Return the bytes of `items[index]`, from any thread and in any order. Raise `ItemError` if that fails."""

    def stamp(self, index: int) -> str:
        """Return a text, such as time and size, that changes if `items[index]` does; "" if it does not exist."""


def printable(path: str | PurePath) -> str:
    """Return a path as one printable line; different paths remain different.

    Line ends, terminal escape sequences and bytes that are not text are written as escapes, and then a backslash as
    two.
    """
    text = path if isinstance(path, str) else path.as_posix()
    if text.isascii() and text.isprintable() and "\\" not in text:  # nearly always
        return text
    if all(unicodedata.category(c) not in ("Cc", "Cs") and c not in SPOOFING and c != "\\" for c in text):
        return text
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is not UTF-8 (surrogateescape)
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in SPOOFING or unicodedata.category(character) in ("Cc", "Cs"):
        return character.encode("unicode_escape").decode("ascii")
    return character
