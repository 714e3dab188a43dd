"""Processes of this package: Python that runs one of its functions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def start(module: str, function: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that calls `function` of `module` of this package, with `arguments` in `sys.argv`.

    It imports the package from where this process did, and treats warnings alike. `options` are those of `Popen`.
    """
    code = f"from {module} import {function}; {function}()"
    return subprocess.Popen([sys.executable, *_warnings(), "-c", code, *arguments], env=_environment(), **options)


def _environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _warnings() -> Sequence[str]:
    return [f"-W{option}" for option in sys.warnoptions]
