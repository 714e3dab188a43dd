"""The format `c` of `opsin ship`."""

from __future__ import annotations

import json

from opsin.export.c.answers import check_task
from opsin.export.c.certificate import certificate
from opsin.export.c.fit import COMPILERS as MICROCONTROLLERS
from opsin.export.c.fit import fit as fit_folder
from opsin.export.c.fit import summary as fit_summary
from opsin.export.c.folder import write
from opsin.export.c.limits import parse_limits
from opsin.export.c.measure import COMPILERS
from opsin.export.format import Files, Format
from opsin.export.precision import FLOAT32
from opsin.model import Model

CERTIFICATE = "certificate.json"


def export(
    model: Model, *, precision: str = FLOAT32, stream: bool = False, fit: str | None = None, measure: bool = False
) -> Files:
    """Return the files of a model in C, in "float32" or "int8"; if it is to `stream`, it takes its image row by row.

    `fit` says how much memory there is, such as "64KB RAM, 256KB flash": the model then streams if it would not fit
    otherwise. With `measure`, the certificate has flash and stack for the compilers that are installed.

    Raise `UsageError` for a model that the format cannot hold or that does not fit, and `ModelError` if it cannot
    predict in int8.
    """
    limits = parse_limits(fit) if fit is not None else None
    check_task(model)
    if limits is None:
        folder, text = write(model, precision, stream, tuple(COMPILERS) if measure else ()), ""
    else:
        folder = fit_folder(model, precision, stream, limits, tuple(COMPILERS) if measure else MICROCONTROLLERS)
        text = fit_summary(folder, limits, stream)
    return {CERTIFICATE: certificate(folder, text).encode("ascii"), **folder.files}


def summary(files: Files) -> str:
    """Return whether the model fits, if that was asked."""
    return str(json.loads(files[CERTIFICATE])["fit"])


C = Format("c", "a C project", "", export, summary)
