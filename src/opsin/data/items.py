"""Labelled files that nobody has decoded yet: what a source lists, and what is wrong with some of it."""

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
    NOT_AN_IMAGE,  # something else, or a kind of image that is not read
    TOO_LARGE,  # more bytes or pixels than are read
    FORBIDDEN,  # its permissions do not let it be read
    SPECIAL,  # a folder, pipe, socket or device
    LOOP,  # a link that leads in a circle
    REPEATED,  # a link to a folder that another link leads to, or a path that a table names twice
    MISSING,  # a link or a table leads to it, but it does not exist
    UNLABELLED,  # an image without a class
    UNREADABLE,  # the disk or the archive failed
)
"""The kinds of problems: stable keys, for programs."""

TRAIN, VALIDATION, TEST, UNSPLIT = "train", "validation", "test", ""
SPLITS = (TRAIN, VALIDATION, TEST)

SPOOFING = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Line separators and changes of direction, which would make a list of names lie."""


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled image of a source."""

    name: str
    """Its path as people are shown it, unique in its source: "train/hat/a.jpg", "photos.zip/hat/a.jpg"."""
    label: str
    split: str
    """`TRAIN`, `VALIDATION`, `TEST`, or `UNSPLIT` where the source does not say."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Something that was to be an image and cannot be used."""

    name: str
    reason: str
    """A phrase: "cut short", "empty", "not an image", …"""
    kind: str
    """One of `PROBLEM_KINDS`."""


class ItemError(DataError):
    """One item cannot be used. The text names it and says what to do; `problem` says it to a receipt."""

    def __init__(self, text: str, problem: FileProblem) -> None:
        super().__init__(text)
        self.problem = problem


class Source(Protocol):
    """Labelled files, listed but not read.

    A source may also have `empty`, the names of classes without a file, and `notes`, sentences for the receipt.
    """

    @property
    def name(self) -> str:
        """What the data is called, such as the folder's name."""

    @property
    def items(self) -> Sequence[Item]:
        """Everything that has a label, in an order that depends on the source's content alone."""

    @property
    def problems(self) -> Sequence[FileProblem]:
        """What was found wrong while listing; none of it is among the items."""

    def read(self, index: int) -> bytes:
        """The bytes of `items[index]`, from any thread in any order; `ItemError` where that fails."""

    def stamp(self, index: int) -> str:
        """Changes when `items[index]` does, and costs no reading: time, size and the like; "" if it is gone."""


def printable(path: str | PurePath) -> str:
    """A path as one line of sound text; different paths stay different.

    Names may hold line ends, terminal commands and bytes that are no text. Those are written as escapes, and then
    a backslash as two.
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
    if 0xDC80 <= ord(character) <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in SPOOFING or unicodedata.category(character) in ("Cc", "Cs"):
        return character.encode("unicode_escape").decode("ascii")
    return character
