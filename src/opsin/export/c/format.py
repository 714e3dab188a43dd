"""The format `c` of `opsin ship`."""

from __future__ import annotations

from opsin.export.c.answers import check_task, make_answers
from opsin.export.c.certificate import certificate
from opsin.export.c.header import header
from opsin.export.c.measure import measure as measure_files
from opsin.export.c.program import prepare
from opsin.export.c.projects import projects
from opsin.export.c.source import source
from opsin.export.format import Files, Format
from opsin.export.precision import FLOAT32
from opsin.model import Model


def export(model: Model, *, precision: str = FLOAT32, stream: bool = False, measure: bool = False) -> Files:
    """Return the files of a model in C, in "float32" or "int8"; if it is to `stream`, it takes its image row by row.

    Raise `UsageError` for a model that the format cannot hold, and `ModelError` if it cannot predict in int8.

    With `measure`, the certificate has flash and stack for the compilers that are installed.
    """
    check_task(model)
    shipment = prepare(model, precision, stream)
    answers = make_answers(shipment)
    name = shipment.prefix
    texts = {
        f"src/{name}.h": header(shipment, answers),
        f"src/{name}.c": source(shipment, answers),
        **dict(projects(shipment, answers)),
    }
    files = {file: text.encode("ascii") for file, text in texts.items()}
    measurements = tuple(measure_files(files, name)) if measure else ()
    return {"certificate.json": certificate(shipment, measurements).encode("ascii"), **files}


C = Format("c", "a C project", "", export)
