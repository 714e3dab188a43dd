"""Libraries that are not installed with Opsin, and are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from opsin.base.errors import OpsinError


def require(module: str, error: type[OpsinError], text: str) -> Any:
    """Import and return `module` of another library. Raise `error(text)` if it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise error(text) from None
