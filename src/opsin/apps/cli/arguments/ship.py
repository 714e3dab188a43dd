"""The arguments of `opsin ship`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Calibrate, MaxDrop, ModelFile
from opsin.apps.cli.lazy import command

ExportPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="web, js, c, onnx: float32; or int8, which multiplies 8-bit integers, in less space.",
    ),
]
FORMATS = "The format: web (a page), js (a module), c (C99), onnx (for other runtimes), torch (weights for PyTorch)."


def ship(
    model: ModelFile,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=FORMATS)],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            show_default="the model's name, here",
            help="The file (web, onnx, torch) or folder (js, c) to write.",
        ),
    ] = None,
    precision: ExportPrecision = "float32",
    calibrate: Calibrate = None,
    max_drop: MaxDrop = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="c: take the image row by row, so that RAM stays below whole tensors.")
    ] = False,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help='c: the memory there is, such as "64KB RAM, 256KB flash"; refuse a model that does not fit.',
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="c: measure flash and stack with the compilers that are installed.")
    ] = False,
    preprocessing: Annotated[
        bool, typer.Option("--preprocessing", help="onnx: take uint8 images of the network's size, and normalize them.")
    ] = False,
    resize: Annotated[
        bool, typer.Option("--resize", help="onnx: take uint8 images of any size, resize them, and normalize them.")
    ] = False,
    tta: Annotated[
        bool | None,
        typer.Option(
            "--tta/--no-tta", show_default="as the model", help="onnx: average the outputs of mirrored images."
        ),
    ] = None,
) -> int:
    """Export a model, with its preprocessing, as files that are used without Opsin."""
    arithmetic = precision, False, calibrate, max_drop
    given = {"stream": stream, "measure": measure, "preprocessing": preprocessing, "resize": resize}
    options = {**{name: value or None for name, value in given.items()}, "fit": fit, "tta": tta}
    return command("ship")(model, to, out, arithmetic, options)
