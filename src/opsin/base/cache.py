"""Where Opsin keeps what it can make or fetch again: compiled kernels, published weights, decoded images."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NOWHERE = Path(os.devnull)
"""Stands for the folder of a user who has none: nothing can be kept in it, which is said where it is tried.

A folder for temporary files would not do: others could put compiled code there.
"""


def cache_folder() -> Path:
    """`$OPSIN_CACHE`, or the user's cache folder as the operating system has it."""
    given = os.environ.get("OPSIN_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData" / "Local") / "opsin" / "cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "opsin"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else _home() / ".cache") / "opsin"


def _home() -> Path:
    """The user's own folder; `NOWHERE` for users without one, as containers have them."""
    try:
        home = Path.home()
    except RuntimeError:
        return NOWHERE
    return home if home.is_absolute() else NOWHERE
