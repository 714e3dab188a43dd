"""The format `c` of `opsin ship`."""

from __future__ import annotations

import json

from opsin.base.formatting import exact_size
from opsin.export.c.answers import check_task
from opsin.export.c.certificate import certificate
from opsin.export.c.fit import BYTES
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

LARGE_WEIGHTS = 4 * 10**6
TEXT_BYTES, COMPILE_SECONDS, COMPILE_BYTES = 2.8, 0.9e-6, 55
"""Bytes of C for a byte of weights, and what GCC 12 needs for it on a processor of 2.6 GHz."""


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


def warning(model: Model, *, precision: str = FLOAT32, **_: object) -> str:
    """Return how large the text of large weights will be, and what a compiler needs for it."""
    size = sum(array.size for array in model.state.values()) * BYTES[precision]
    if size < LARGE_WEIGHTS:
        return ""
    text, memory = exact_size(size * TEXT_BYTES), exact_size(size * COMPILE_BYTES)
    return (
        f"{exact_size(size)} of weights become about {text} of C; gcc needs about {size * COMPILE_SECONDS:.0f} s and "
        f"{memory} of memory for it{'; --precision int8 takes a quarter' if precision == FLOAT32 else ''}"
    )


C = Format("c", "a C project", "", export, summary, warning, CERTIFICATE)
