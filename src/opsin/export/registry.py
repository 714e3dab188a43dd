"""All formats, in the order of the help."""

from __future__ import annotations

from collections.abc import Iterable

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


def check_options(form: Format, names: Iterable[str]) -> None:
    """Raise `UsageError`, which says which formats have it, if one of the names is not an option of `form`."""
    for name in names:
        if name in form.options:
            continue
        others = [each.name for each in FORMATS if name in each.options]
        known = f"its options are {', '.join(form.options)}" if form.options else "it has no options"
        advice = f"leave it out, or choose the format {' or '.join(others)}, which has it" if others else known
        raise UsageError(f"the format {form.name} takes no {name}; {advice}")
