"""The arguments of `opsin predict` and `opsin evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Json, LabeledData, ModelFile
from opsin.apps.cli.lazy import command


def predict(
    model: ModelFile,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="Image files, folders of images, - for an image on standard input, a video, or a camera: /dev/video0.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Number of most likely labels for each image.")] = 5,
    json: Json = False,
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Also write annotated frames: to a folder, or to a video such as out.mp4."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep up with a folder that images are written to, until Ctrl-C.")
    ] = False,
    idle: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", show_default="never", help="End --follow after a time without images."),
    ] = None,
) -> int:
    """Classify images: print the most likely labels with their probabilities, or "don't know"."""
    return command("predict")(model, images, json, top, out, follow, idle)


def evaluate(
    model: ModelFile,
    data: LabeledData,
    json: Json = False,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Also write the full report, an HTML page; takes about a minute."),
    ] = None,
) -> int:
    """Measure a model on labelled images that it was not trained on."""
    return command("evaluate")(model, data, json, report)
