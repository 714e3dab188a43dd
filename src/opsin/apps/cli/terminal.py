"""What the terminal, or who started the command, says about how output is to look."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

SIZES = {"COLUMNS": (20, 500), "LINES": (5, 500), "TERMINAL_WIDTH": (20, 500)}
"""Variables of the environment that hold sizes, and which of their values make sense."""

WIDE = 80
"""Columns from which on help is set in boxes, with options, values and texts side by side."""


def settle_size() -> None:
    """Forgets sizes in the environment that make no sense, such as COLUMNS=0; then the terminal's own hold."""
    for name, (least, most) in SIZES.items():
        given = os.environ.get(name, str(least))
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
        if not least <= number <= most:
            del os.environ[name]


def is_wide() -> bool:
    return shutil.get_terminal_size().columns >= WIDE


def is_plain() -> bool:
    """Whether nothing is to be in colour or bold: https://no-color.org, and terminals that know no such thing."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def is_live(stream: TextIO | None) -> bool:
    """Whether a line on `stream` can be written over."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
