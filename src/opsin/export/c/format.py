"""The format `c` of `opsin ship`."""

from __future__ import annotations

from opsin.export.c.header import header
from opsin.export.c.program import prepare
from opsin.export.c.source import source
from opsin.export.format import Files, Format
from opsin.model import Model


def export(model: Model) -> Files:
    """Return the files of a model in C. Raise `UsageError` for a model that the format cannot hold."""
    shipment = prepare(model)
    name = shipment.prefix
    texts = {f"{name}.h": header(shipment), f"{name}.c": source(shipment)}
    return {file: text.encode("ascii") for file, text in texts.items()}


C = Format("c", "a C project", "", export)
