"""The texts of the folder `assets`, with the names and numbers of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

from opsin.backends.c.expressions import literal
from opsin.export.c.program import Shipment
from opsin.kernels.ir import F32


def asset(name: str, shipment: Shipment, **values: object) -> str:
    """Return a file of `assets/` with the names of the model, and `@name@` replaced by each of `values`."""
    text = renamed(files("opsin.export.c").joinpath("assets").joinpath(name).read_text(encoding="utf-8"), shipment)
    texts = {"model": shipment.prefix, **{key: str(value) for key, value in values.items()}}
    return re.sub(r"@(\w+)@", lambda match: texts[match[1]], text)


def renamed(text: str, shipment: Shipment) -> str:
    """Return a text in which the names of functions and macros begin with the model's."""
    prefix = shipment.prefix
    return re.sub(r"\bMODEL_", f"{prefix.upper()}_", re.sub(r"\bmodel_", f"{prefix}_", text))


def floats(values: Iterable[float]) -> str:
    """Return the elements of an array, exactly as float32."""
    return ", ".join(literal(float(value), F32).text for value in values)
