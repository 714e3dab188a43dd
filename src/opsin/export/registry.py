"""All formats, in the order of the help."""

from __future__ import annotations

from opsin.base.errors import UsageError
from opsin.export.c.format import C
from opsin.export.format import Format
from opsin.export.js.format import JS
from opsin.export.onnx.format import ONNX
from opsin.export.torch.format import TORCH
from opsin.export.web.format import WEB

FORMATS: tuple[Format, ...] = (WEB, JS, C, ONNX, TORCH)


def find(name: str) -> Format:
    """Return the format called `name`. Raise `UsageError` if there is none."""
    for each in FORMATS:
        if each.name == name:
            return each
    names = ", ".join(f"{each.name} ({each.contents})" for each in FORMATS)
    raise UsageError(f"there is no format {name!r} to ship a model in; the formats are {names}")
