"""Open the model that a command is given."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

import opsin
from opsin.apps.cli.terminal import is_live

if TYPE_CHECKING:
    from opsin.model import Model

UPDATE_INTERVAL = 2
"""Percent between two updates of the progress line."""


def open_model(name: str) -> Model:
    """Return the model in a file of Opsin, ONNX or dlib, or a network of the zoo with its published weights."""
    if name.lower().endswith(".onnx"):
        return opsin.import_onnx(name)
    if name.lower().endswith(".dat"):
        return opsin.import_embedding(name)
    if os.path.exists(name) or name not in opsin.zoo.names():
        return opsin.load(name)
    return opsin.pretrained(name, on_progress=DownloadProgress(name) if is_live(sys.stderr) else None)


class DownloadProgress:
    """The progress of a download, as a line on standard error that disappears at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = ""
        self.next_update = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` bytes have arrived."""
        percent = 100 * done / max(done, total)
        if percent < self.next_update:
            return
        self.next_update = percent + UPDATE_INTERVAL
        blank = " " * len(self.line)
        self.line = "" if done == total else f"{self.name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB downloaded"
        typer.echo(f"\r{blank}\r{self.line}", nl=False, err=True)
