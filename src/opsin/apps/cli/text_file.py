"""Read a text file that an option names."""

from __future__ import annotations

from pathlib import Path

from opsin.base.errors import UsageError

MAX_TEXT_BYTES = 2**26
"""Larger files are hardly lists that a person wrote."""


def read_text(path: str) -> str:
    """Return the text in a file. Raise `UsageError` if it cannot be read, or is no text."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a text file") from None
    if len(content) > MAX_TEXT_BYTES:
        raise UsageError(f"{path} has more than {MAX_TEXT_BYTES >> 20} MiB; give a list of lines of text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8; give a list of lines of text") from None
