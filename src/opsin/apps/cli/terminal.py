"""The format of the output, according to the terminal and the environment."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

SIZES = {"COLUMNS": (20, 500), "LINES": (5, 500), "TERMINAL_WIDTH": (20, 500)}
"""Environment variables that hold sizes, and the range of their sensible values."""

MIN_BOX_WIDTH = 80
"""The fewest columns for help in boxes, with options, values and texts side by side."""


def discard_invalid_sizes() -> None:
    """Remove invalid sizes such as COLUMNS=0 from the environment; the size of the terminal then applies."""
    for name, (minimum, maximum) in SIZES.items():
        text = os.environ.get(name, str(minimum))
        size = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not minimum <= size <= maximum:
            del os.environ[name]


def is_wide() -> bool:
    """Return whether the terminal is wide enough for help in boxes."""
    return shutil.get_terminal_size().columns >= MIN_BOX_WIDTH


def is_plain() -> bool:
    """Return whether output must have no colours: see https://no-color.org; dumb terminals have none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def is_live(stream: TextIO | None) -> bool:
    """Return whether a line on `stream` can be overwritten."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
