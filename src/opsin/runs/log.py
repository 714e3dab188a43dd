"""A run's log: one JSON object per line, appended as things happen and readable at any time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsin.base.legacy import renamed

LOG = "log.jsonl"
"""The name of the log in a run's folder."""


class Log:
    """The log in the file `path`, truncated to its last complete line, and with `size` to that many bytes first."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._file = path.open("ab")
        if path.stat().st_size:
            lines, newline, _ = path.read_bytes()[:size].rpartition(b"\n")
            self._file.truncate(len(lines + newline))

    @property
    def size(self) -> int:
        """The size of the log in bytes."""
        return self._file.seek(0, os.SEEK_END)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a line; when this returns, the operating system has it."""
        self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, without an incomplete line at its end; none if there is no log."""
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


def last_event(folder: Path) -> str:
    """Return the name of the last event in the log of the run in `folder`; an empty string if there is none."""
    last = ""
    for record in read_log(folder / LOG):
        last = str(record.get("event"))
    return last
