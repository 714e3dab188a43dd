"""The page of a model."""

from __future__ import annotations

from html import escape

from opsin.export.format import Files, Format
from opsin.model import Model


def export(model: Model) -> Files:
    """Return the page."""
    text = f'<!DOCTYPE html>\n<html lang="en"><title>{escape(model.network)}</title></html>\n'
    return {"index.html": text.encode("utf-8")}


WEB = Format("web", "a page that runs the model in a browser", ".html", export)
