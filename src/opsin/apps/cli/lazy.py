"""Load the module of a command when it is called, which keeps `opsin --help` fast."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast


def command(name: str) -> Callable[..., int]:
    """Return the function `run` of a command's module. It returns the exit code."""
    return cast("Callable[..., int]", import_module(f"opsin.apps.cli.{name}").run)
