"""Names in C."""

from __future__ import annotations

import re
from pathlib import Path

from opsin.model import Model

MODEL_SUFFIXES = (".opsin", ".onnx")
MAX_LENGTH = 31
"""Characters of an identifier that C99 guarantees to be significant in other files."""


def prefix_of(model: Model) -> str:
    """Return the prefix of a model's functions and the name of its files: that of its file, or of the network."""
    path = Path(model.name)
    stem = path.stem if path.suffix.lower() in MODEL_SUFFIXES else model.network
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[: MAX_LENGTH - len("_self_test")].strip("_")
    return name if name[:1].isalpha() else f"model_{name}".rstrip("_")


def string(text: str) -> str:
    """Return a string literal; characters outside ASCII are octal escapes of UTF-8."""
    plain = "".join(
        chr(octet) if 32 <= octet < 127 and chr(octet) not in '"\\?' else f"\\{octet:03o}" for octet in text.encode()
    )
    return f'"{plain}"'


def comment(text: str) -> str:
    """Return text for a comment: ASCII, without the end of a comment."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *")
