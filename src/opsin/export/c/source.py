"""The `.c` file of a model: weights, memory, kernels, preprocessing, and the functions of its header."""

from __future__ import annotations

import textwrap

import numpy as np

import opsin
from opsin.backends.c import Table, prelude, render_program
from opsin.data.decode import Crop, Portable, Stretch
from opsin.export.c.answers import Answers
from opsin.export.c.checksum import checksum, checksum_function
from opsin.export.c.drawing import draw
from opsin.export.c.names import comment, string
from opsin.export.c.program import Shipment
from opsin.export.c.ram import ram_bytes
from opsin.export.c.templates import asset, floats
from opsin.export.precision import FLOAT32
from opsin.kernels.ir import ELEMENT_BYTES, F32

FIT, STRETCH, CROP = range(3)
"""How the image is framed: `MODEL_FRAMING`."""


def source(shipment: Shipment, answers: Answers) -> tuple[str, int]:
    """Return the text of the `.c` file, and the checksum of its constants."""
    program = render_program(shipment.program)
    scale, shift = shipment.model.preprocessing.scale_and_shift
    labels = (Table(f"{shipment.prefix}_labels", shipment.model.labels),) if shipment.model.labels else ()
    tables = [*program.tables, *_input_tables(shipment), *labels, *answers.tables]
    functions, sums = checksum_function(tables)
    checked = checksum(shipment.program.constants, tables)
    parts = [
        head(shipment),
        f'#include "{shipment.prefix}.h"\n',
        asset("settings.c", shipment, **_settings(shipment)),
        prelude(program.functions | answers.functions),
        program.memory,
        "/* ---- Weights, as words -------------------------------------------------------------------------- */\n",
        program.constants,
        "/* ---- Kernels ------------------------------------------------------------------------------------ */\n",
        program.kernels,
        "/* ---- The network -------------------------------------------------------------------------------- */\n",
        *([program.stream] if program.stream else []),
        f"static void compute(void)\n{{\n{program.calls}}}\n",
        asset("preprocess.c", shipment, scale=floats(scale), shift=floats(shift)),
        asset("interface.c", shipment),
        _labels(shipment),
        answers.source,
        asset(
            "self_test.c", shipment, goldens=_golden_bits(shipment), functions=functions, sums=sums,
            checksum=f"0x{checked:08x}",
        ),
    ]  # fmt: skip
    return "\n".join(parts), checked


def _input_tables(shipment: Shipment) -> list[Table]:
    """Return the tables of the preprocessing, which 8-bit integers do not need."""
    if shipment.input.element != F32:
        return []
    scale, shift = shipment.model.preprocessing.scale_and_shift
    return [Table.of("input_scale", scale), Table.of("input_shift", shift)]


def head(shipment: Shipment) -> str:
    """Return the comment at the head of the files: what the network is, and what it needs."""
    model, program = shipment.model, shipment.program
    arithmetic = "" if shipment.network.precision == FLOAT32 else " in 8-bit integers"
    lines = [
        f"{shipment.prefix}: {model.network}{arithmetic} for {model.task.subject()}, as C99 without a library.",
        f"Written by Opsin {opsin.__version__}. {shipment.macs:,} MACs, {ram_bytes(shipment):,} bytes of RAM, "
        f"{len(program.constants):,} bytes of weights.",
        "",
        *draw(model),
        "",
        "Results have the bits of `opsin predict --portable`: each product and each sum is rounded, in this order. "
        "Compile with -std=c99 or -ffp-contract=off, and never with -ffast-math.",
    ]
    wrapped = [
        part for line in lines for part in ([comment(line)] if line.startswith(" ") or "  " in line else _wrap(line))
    ]
    return "\n".join([f"/* {wrapped[0]}", *(f"   {line}".rstrip() for line in wrapped[1:])]) + " */\n"


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(comment(line), 110) or [""]


def _settings(shipment: Shipment) -> dict[str, object]:
    """Return the numbers that the preprocessing and the self-test are compiled with."""
    model, goldens = shipment.model, shipment.goldens
    framing = Portable.of(model.preprocessing.crop).framing
    bicubic = framing is None or framing.interpolation == "bicubic"
    return {
        "input_at": shipment.input.address.offset,
        "input_bytes": ELEMENT_BYTES[shipment.input.element],
        "output_at": shipment.output.address.offset,
        "words": shipment.program.arena_bytes // 4,
        "framing": CROP if isinstance(framing, Crop) else STRETCH if isinstance(framing, Stretch) else FIT,
        "shorter": framing.resize if isinstance(framing, Crop) else 0,
        "bicubic": int(bicubic),
        "dark_background": int(model.preprocessing.dark_background),
        "mirrored": int(model.tta is not None),
        "mirrored_back": _mirrored_back(shipment),
        "values": goldens.values.shape[1],
        "golden_at": _golden_at(shipment),
    }


def _golden_at(shipment: Shipment) -> str:
    """Return the expression of the number that is compared with number `i` of a golden image."""
    (count, step), *others = shipment.goldens.steps
    text = f"found[i * {step}]"
    for _, other in others:
        text = f"i < {count} ? {text} : {shipment.prefix}_offsets()[(i - {count}) * {other}]"
    return text


def _mirrored_back(shipment: Shipment) -> str:
    """Return the expression of the number of the mirror image that belongs to number `i` of the image."""
    if len(shipment.output.shape) < 4:
        return "i"
    _, classes, _, width = shipment.output.shape
    return f"(i / {classes * width} * {width} + {width - 1} - i / {classes} % {width}) * {classes} + i % {classes}"


def _labels(shipment: Shipment) -> str:
    if not shipment.model.labels:
        return ""
    names = ",\n".join(f"  {string(label)}" for label in shipment.model.labels)
    return f"const char *const {shipment.prefix}_labels[{len(shipment.model.labels)}] = {{\n{names},\n}};\n"


def _golden_bits(shipment: Shipment) -> str:
    rows = shipment.goldens.values.view(np.uint32).tolist()
    texts = [
        textwrap.fill(", ".join(f"0x{word:08x}" for word in row), 110, initial_indent="   ", subsequent_indent="   ")
        for row in rows
    ]
    return ",\n".join(f"  {{{text.strip()}}}" for text in texts)
