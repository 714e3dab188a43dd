"""Packages that are not installed with Opsin: libraries, imported on first use, and those that hold files."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opsin.base.errors import OpsinError


def require(module: str, error: type[OpsinError], text: str) -> Any:
    """Import and return `module` of another library. Raise `error(text)` if it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise error(text) from None


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package without running it; None if it is not installed."""
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
