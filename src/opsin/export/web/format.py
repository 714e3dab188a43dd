"""The format `web`: the page of a model."""

from __future__ import annotations

from opsin.export.format import Files, Format
from opsin.export.precision import FLOAT32
from opsin.export.runtime.parts import make_parts
from opsin.export.web.document import document
from opsin.model import Model


def export(model: Model, *, precision: str = FLOAT32) -> Files:
    """Return the page of a model in "float32" or "int8"."""
    return {"index.html": document(model, make_parts(model, precision)).encode("utf-8")}


WEB = Format("web", "a page that runs the model in a browser", ".html", export)
