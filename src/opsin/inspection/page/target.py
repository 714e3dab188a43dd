"""The file of a page: another page of the same command is overwritten, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.inspection.page.document import SEE
from opsin.ir.arguments import path as sound_path


def write_page(path: str | os.PathLike[str], html: str, generator: str = SEE) -> None:
    """Write a page of the command `generator`. Raise `UsageError` as `check_target`, or if it cannot be written."""
    target = Path(sound_path("the page's file", path))
    check_target(target, generator)
    try:
        atomic_write(target, html.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}; name another file") from None


def check_name(path: str) -> None:
    """Raise `UsageError` unless a path has the extension of a page."""
    if not path.lower().endswith((".html", ".htm")):
        raise UsageError(f"the page is an HTML file: call it {os.path.splitext(path)[0]}.html instead of {path}")


def check_target(path: Path, generator: str = SEE) -> None:
    """Raise `UsageError` if a page of the command `generator` would overwrite something else, or has no folder."""
    if path.is_dir():
        example = path / f"{generator.split()[-1]}.html"
        raise UsageError(f"{path} is a folder; name a file, such as {example}")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}; create it, or name another file")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name another file") from None
    if start and f'content="{generator}'.encode() not in start:
        raise UsageError(f"{path} exists and is not a page of {generator}; name another file, or remove it first")
