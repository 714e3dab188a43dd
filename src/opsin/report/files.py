"""A report's files: the page, and its figures as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.model import Model
from opsin.report.model_report import SECONDS, ModelReport, measure_model
from opsin.report.page import page

PAGE, DATA = "report.html", "report.json"


def write(folder: str | os.PathLike[str], model: Model, data: Dataset, *, seconds: float = SECONDS) -> ModelReport:
    """Measures `model` on `data` in about `seconds`, and writes report.html and report.json into `folder`.

    `UsageError` where they cannot be written; what was there before stays then.
    """
    made = measure_model(model, data, seconds=seconds)
    place = Path(folder)
    write_text(place / DATA, json.dumps(made.to_data(), indent=1, ensure_ascii=False) + "\n")
    write_text(place / PAGE, page(made))
    return made


def write_text(path: Path, text: str) -> None:
    """Writes a file, whole or not at all; `UsageError` where it cannot be written."""
    try:
        atomic_write(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another place for the report") from None
