"""The files of a report: the page, and its figures as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.model import Model
from opsin.report.common import SECONDS
from opsin.report.kinds import AnyReport, measure_model, page

PAGE, DATA = "report.html", "report.json"


def write(
    folder: str | os.PathLike[str],
    model: Model,
    data: Dataset,
    *,
    seconds: float = SECONDS,
    see: Callable[[AnyReport], str] = lambda report: "",
) -> AnyReport:
    """Measure `model` on `data` in about `seconds`, and write report.html and report.json into `folder`.

    `see` may write a page about the report's mistakes into the folder; it returns its file name, to which the report
    then links, or an empty string. Raise `UsageError` if the files cannot be written; existing ones then stay as they
    were.
    """
    report = measure_model(model, data, seconds=seconds)
    report = replace(report, see=see(report))
    write_text(Path(folder) / DATA, json.dumps(report.to_data(), indent=1, ensure_ascii=False) + "\n")
    write_text(Path(folder) / PAGE, page(report))
    return report


def write_text(path: Path, text: str) -> None:
    """Write a file atomically; raise `UsageError` if it cannot be written."""
    try:
        atomic_write(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another place for the report") from None
