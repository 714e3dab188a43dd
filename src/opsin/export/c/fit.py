"""Whether a model fits a microcontroller, and what would make it fit.

RAM is that of all static variables, which the plan determines, and the bound of the stack; flash is code and constants.
Without `arm-none-eabi-gcc`, which measures stack and code, only static variables and weights are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opsin.base.errors import UsageError
from opsin.export.c.folder import MICROCONTROLLER, Folder, write
from opsin.export.c.limits import Limits, kibibytes
from opsin.export.c.smaller import smaller_images, smaller_networks
from opsin.export.precision import FLOAT32
from opsin.model import Model
from opsin.model.int8 import INT8

COMPILERS = (MICROCONTROLLER,)
BYTES = {FLOAT32: 4, INT8: 1}
"""The bytes of a number in memory."""


def fit(model: Model, precision: str, stream: bool, limits: Limits, compilers: Sequence[str] = COMPILERS) -> Folder:
    """Write a model that fits the limits: as it is, or row by row, which is bit-identical.

    Raise `UsageError` that says what it needs, which layer is the largest, and what would make it fit.
    """
    folder = _write(model, precision, stream, limits, compilers)
    if limits.allow(folder.ram, folder.flash):
        return folder
    rows = None if stream else _by_rows(model, precision, limits, compilers)
    if rows is not None and limits.allow(rows.ram, rows.flash):
        return rows
    advice = "; or ".join(_advice(model, rows or folder, limits)) or "use a larger microcontroller"
    raise UsageError(
        f"{model.name} does not fit {limits}: {describe(folder)}"
        + (f", and {describe(rows)}" if rows is not None else "")
        + f". {_largest(rows or folder, limits)}To make it fit, {advice}"
    )


def describe(folder: Folder) -> str:
    """Return what an export needs, as a clause."""
    shipment = folder.shipment
    how = f"{shipment.network.precision}{', row by row,' if shipment.is_streamed else ''}"
    stack = "with its stack" if folder.measured else f"without its stack, which {MICROCONTROLLER} would measure,"
    code = "" if folder.measured else " for weights alone"
    return f"{how} needs {kibibytes(folder.ram)} of RAM {stack} and {kibibytes(folder.flash)} of flash{code}"


def summary(folder: Folder, limits: Limits, asked_to_stream: bool) -> str:
    """Return the sentence for a model that fits."""
    reason = ""
    if folder.shipment.is_streamed and not asked_to_stream:
        reason = " It takes its image row by row, which is bit-identical, because it would not fit otherwise."
    return f"It fits {limits}: {describe(folder)}.{reason}"


def _write(model: Model, precision: str, stream: bool, limits: Limits, compilers: Sequence[str]) -> Folder:
    """Write a model; it is compiled only if its variables and weights fit, since large ones take minutes."""
    folder = write(model, precision, stream)
    return folder.compiled_by(compilers) if limits.allow(folder.ram, folder.flash) else folder


def _by_rows(model: Model, precision: str, limits: Limits, compilers: Sequence[str]) -> Folder | None:
    try:
        return _write(model, precision, True, limits, compilers)
    except UsageError:
        return None


def _largest(folder: Folder, limits: Limits) -> str:
    """Name the layers that need the most of what there is too little of."""
    calls = folder.shipment.program.all_calls
    parts = []
    if limits.ram is not None and folder.ram > limits.ram:
        call = max(calls, key=lambda call: call.arena_bytes)
        parts.append(f"{call.scope or call.label} works on {kibibytes(call.arena_bytes)}")
    if limits.flash is not None and folder.flash > limits.flash:
        call = max(calls, key=lambda call: call.constants_bytes)
        parts.append(f"{call.scope or call.label} has {kibibytes(call.constants_bytes)} of weights")
    return f"The largest layer {' and '.join(parts)}. "


def _advice(model: Model, folder: Folder, limits: Limits) -> Iterator[str]:
    precision, sizes, how = folder.shipment.network.precision, (folder.ram, folder.flash), ""
    if precision != INT8:
        smaller = _in_int8(model, folder, limits)
        if limits.allow(*smaller):
            ranges = "" if model.quantization is not None else " and --calibrate FOLDER"
            needs = f"about {kibibytes(smaller[0])} of RAM and {kibibytes(smaller[1])} of flash"
            yield f"ship it with --precision int8{ranges} ({needs}, which fits)"
        else:
            precision, sizes, how = INT8, smaller, ", and ship it with --precision int8"
    if side := smaller_images(model, sizes, limits):
        yield f"train {model.network} again with --size {side}{how}"
    if names := smaller_networks(model, BYTES[precision], limits):
        yield f"train a smaller network, such as {', '.join(names)}{how}"


def _in_int8(model: Model, folder: Folder, limits: Limits) -> tuple[int, int]:
    """Return about the bytes of RAM and flash in 8-bit integers: exactly planned if the model has ranges."""
    if model.quantization is not None:
        smaller = _write(model, INT8, folder.shipment.is_streamed, limits, COMPILERS)
        return smaller.ram, smaller.flash
    weights = len(folder.shipment.program.constants)
    return folder.ram // 4, folder.flash - weights + weights // 4
