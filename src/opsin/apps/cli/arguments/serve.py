"""The arguments of `opsin serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Portable, PredictionPrecision
from opsin.apps.cli.lazy import command
from opsin.base.units import parse_bytes


def serve(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="Model files, ONNX files, or networks with published weights."),
    ],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 lets the system choose.")] = 8000,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default="OPSIN_TOKEN, or none",
            help="A file with the token that requests must have.",
        ),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(metavar="SIZE", parser=parse_bytes, show_default="32MB", help="The largest body of a request."),
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="67108864", help="The most pixels of an image.")
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="1000", help="The most connections at once.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", show_default="30", help="The time for a body, and for its answer."),
    ] = None,
    precision: PredictionPrecision = "float32",
    portable: Portable = False,
) -> int:
    """Answer requests about images over HTTP, with batching, limits, metrics and a page to try it."""
    limits = {"body_bytes": max_bytes, "pixels": max_pixels, "connections": max_connections, "seconds": timeout}
    return command("serve")(models, host, port, token_file, (precision, portable), limits)
