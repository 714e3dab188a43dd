"""Hide Pillow's warnings while images are decoded; relevant problems become errors of our own."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from opsin.base.concurrency import ForkLock

logging.getLogger("PIL").addHandler(logging.NullHandler())  # otherwise its errors go to the terminal

_lock = ForkLock()
_users = 0

PILLOW_FILTER: Any = ("ignore", None, Warning, re.compile(r"PIL(\..*)?$"), 0)
"""The filter that `warnings.filterwarnings` would create, here inserted for each image."""


@contextmanager
def suppress_pillow_warnings() -> Iterator[None]:
    """Hide Pillow's warnings inside the block. Unlike `warnings.catch_warnings`, this is thread-safe."""
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
                _remove_filter()


def _remove_filter() -> None:
    with suppress(ValueError):  # other code has restored the list in the meantime
        warnings.filters.remove(PILLOW_FILTER)  # type: ignore[attr-defined]


def _reset_after_fork() -> None:
    """Reset the state: the threads that used the filter do not exist in a forked process."""
    global _users
    if _users:
        _users = 0
        _remove_filter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
