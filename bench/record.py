"""Records of measurements in the format of `bench/results`, from which `tools/tables.py` writes tables.

A record has the machine ("cpu", "cores", "python" and versions), the date, the command and the git commit, and one
table: "columns" and "rows", all of strings. It may have any other data in addition. This module needs only the standard
library, because some scripts run without Opsin.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Return the date, the command line without folders of this machine, and the commit of this run."""
    script, arguments = Path(sys.argv[0]), [without_folder(argument) for argument in sys.argv[1:]]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join([f"{script.parent.name}/{script.name}".lstrip("/"), *arguments]),
        "commit": commit(),
    }


def without_folder(value: Any) -> Any:
    """Return the last part of an absolute path; other values as they are, and other paths as text."""
    if isinstance(value, str | Path) and os.path.isabs(value):
        return Path(value).name
    return str(value) if isinstance(value, Path) else value


def commit() -> str | None:
    """Return the git commit of this checkout; None if git or the repository is missing."""
    words = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the table of a record. Column names are unique, because pages select columns by name."""
    if len(set(columns)) < len(columns):
        raise ValueError(f"columns need different names: {', '.join(columns)}")
    return {"columns": list(columns), "rows": [list(row) for row in rows]}


def write(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as JSON."""
    if missing := {"machine", "date", "command", "columns", "rows"} - record.keys():
        raise ValueError(f"the record lacks {', '.join(sorted(missing))}")
    text = json.dumps(record, indent=1, ensure_ascii=False, default=asdict)
    Path(path).write_text(text + "\n", encoding="utf-8")
