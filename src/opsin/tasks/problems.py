"""Kinds of fault in annotations of boxes and in tables. They are stable: programs may count by them."""

from __future__ import annotations

UNREADABLE_FILE = "unreadable file"
LARGE_FILE = "file too large"
UNSAFE_XML = "unsafe XML"
UNSAFE_PATH = "unsafe path"
MISSING_IMAGE = "missing image"
AMBIGUOUS_IMAGE = "ambiguous image"
UNREADABLE_IMAGE = "unreadable image"
REPEATED_IMAGE = "repeated image"
UNKNOWN_IMAGE = "unknown image"
SIZE_MISMATCH = "size mismatch"
SPLIT_OVERLAP = "image in two splits"
INVALID_ENTRY = "invalid entry"
INVALID_NUMBER = "invalid number"
UNKNOWN_CLASS = "unknown class"
OUTSIDE_BOX = "box outside image"
EMPTY_BOX = "empty box"
REVERSED_BOX = "reversed box"
REPEATED_BOX = "repeated box"
NO_USABLE_BOX = "no usable box"
NO_IMAGE = "no image named"
UNKNOWN_SPLIT = "unknown split"
MISSING_NUMBER = "missing number"
INVALID_LABEL = "invalid label"
CONTRADICTION = "contradicting rows"

MAX_QUOTED = 80
"""Characters of the data that a message quotes."""


class AnnotationFault(Exception):
    """A file or an entry cannot be used. The readers catch it and report a `Problem`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


def printable(text: object) -> str:
    """Return text from the data for a message: on one line, without control characters, not too long."""
    shown = "".join(c if c.isprintable() else "�" for c in " ".join(str(text)[: 4 * MAX_QUOTED].split()))
    return shown if len(shown) <= MAX_QUOTED else f"{shown[: MAX_QUOTED - 1]}…"
