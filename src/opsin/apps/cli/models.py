"""The model that a command is asked to use."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

import opsin
from opsin.apps.cli.terminal import is_live

if TYPE_CHECKING:
    from opsin.model import Model

STEP = 2
"""Percent between two looks of a download's line."""


def open_model(what: str) -> Model:
    """The model in a file, of Opsin or ONNX, or the network of the zoo of that name, with its published weights."""
    if what.lower().endswith(".onnx"):
        return opsin.import_onnx(what)
    if os.path.exists(what) or what not in opsin.zoo.names():
        return opsin.load(what)
    return opsin.pretrained(what, on_progress=Download(what) if is_live(sys.stderr) else None)


class Download:
    """A line on standard error about how a download goes, written over itself; it vanishes at the end."""

    def __init__(self, name: str) -> None:
        self.name, self.line, self.next = name, "", 0.0

    def __call__(self, done: int, total: int) -> None:
        share = 100 * done / max(done, total)
        if share < self.next:
            return
        self.next = share + STEP
        blank = " " * len(self.line)
        self.line = "" if done == total else f"{self.name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB downloaded"
        typer.echo(f"\r{blank}\r{self.line}", nl=False, err=True)
