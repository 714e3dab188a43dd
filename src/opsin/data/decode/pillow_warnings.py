"""Decoders' warnings: what matters of them becomes an error or a problem, and none is shown."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from opsin.base.concurrency import ForkLock

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its errors go to the terminal

_lock = ForkLock()
_users = 0

PILLOW_FILTER: Any = ("ignore", None, Warning, re.compile(r"PIL(\..*)?$"), 0)
"""As `warnings.filterwarnings` would make it, but for every image anew."""


@contextmanager
def suppress_pillow_warnings() -> Iterator[None]:
    """Inside, no warning of Pillow's is shown. For many threads at once, unlike `warnings.catch_warnings`."""
    global _users
    with _lock.lock:
        _users += 1
        if _users == 1:
            warnings.filters.insert(0, PILLOW_FILTER)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with _lock.lock:
            _users -= 1
            if not _users:
                _show()


def _show() -> None:
    with suppress(ValueError):  # somebody else has restored the list meanwhile
        warnings.filters.remove(PILLOW_FILTER)  # type: ignore[attr-defined]


def _forked() -> None:
    """Of several users, none lives on in a forked process."""
    global _users
    if _users:
        _users = 0
        _show()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
