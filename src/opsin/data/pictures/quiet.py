"""Decoders' warnings: what matters of them becomes an error or a problem, and none is shown."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its errors go to the terminal

_lock = Lock()
_users = 0
_filters: list[Any] = []


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, no warning of Pillow's is shown. For many threads at once, unlike `warnings.catch_warnings`."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")
            _filters.append(warnings.filters[0])
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                with suppress(ValueError):  # somebody else has restored the list meanwhile
                    warnings.filters.remove(_filters.pop())  # type: ignore[attr-defined]
