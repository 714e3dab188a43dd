"""The cache folder: compiled kernels, published weights, decoded images; all that can be made or fetched again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NO_FOLDER = Path(os.devnull)
"""The folder of a user without a home folder: writing to it fails, and the error is reported there.

A folder for temporary files is no alternative, because other users could put compiled code there.
"""


def cache_folder() -> Path:
    """Return `$OPSIN_CACHE`, or the operating system's cache folder for the user."""
    variable = os.environ.get("OPSIN_CACHE")
    if variable:
        return Path(variable)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData" / "Local") / "opsin" / "cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "opsin"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else _home() / ".cache") / "opsin"


def _home() -> Path:
    """Return the user's home folder, or `NO_FOLDER` for users without one, as in some containers."""
    try:
        home = Path.home()
    except RuntimeError:
        return NO_FOLDER
    return home if home.is_absolute() else NO_FOLDER
