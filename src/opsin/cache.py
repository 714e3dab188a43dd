"""Where Opsin keeps what it can make or fetch again: compiled kernels, published weights, decoded pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """`$OPSIN_CACHE`, or the user's cache folder as the operating system has it."""
    given = os.environ.get("OPSIN_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "opsin" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "opsin"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "opsin"
