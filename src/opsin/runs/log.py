"""A run's log: one JSON object a line, added to as things happen, readable at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsin.base.legacy import renamed


class Log:
    """The log in the file `path`; `at` cuts it to that many bytes first, and in any case to its last whole line."""

    def __init__(self, path: Path, at: int | None = None) -> None:
        self._file = path.open("ab")
        if path.stat().st_size:
            whole = path.read_bytes()[:at].rpartition(b"\n")
            self._file.truncate(len(whole[0] + whole[1]))

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.seek(0, os.SEEK_END)

    def write(self, record: Mapping[str, Any]) -> None:
        """Adds a line, which is in the system's hands when this returns."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log, without a torn line at its end; none where there is no log."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield renamed(record)
