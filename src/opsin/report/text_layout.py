"""Lines of text for a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 96
MAX_NAME_LENGTH = 24


def wrapped(text: str, first: str = "", indent: str = "") -> list[str]:
    """Return text in lines of at most `WIDTH` characters, the first one after `first`, the others after `indent`."""
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def shortened(name: str) -> str:
    """Return the beginning of a long name."""
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…"
