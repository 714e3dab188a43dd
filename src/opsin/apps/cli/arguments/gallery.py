"""The arguments of the commands of `opsin gallery`, and of `opsin identify`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.faces import Detector, Threshold
from opsin.apps.cli.arguments.renamed import Command
from opsin.apps.cli.arguments.shared import Json
from opsin.apps.cli.lazy import command

app = typer.Typer(
    name="gallery",
    help="Keep vectors of known people, animals or products, in which `opsin identify` looks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

GalleryFile = Annotated[str, typer.Argument(metavar="GALLERY", help="The file of a gallery, such as team.gallery.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what the images show.")]
Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders of images.")]
GalleryModel = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", show_default="the gallery's", help="The model; needed for a new gallery, or if it has moved."
    ),
]
Faces = Annotated[
    bool,
    typer.Option("--faces", help="A new gallery: find the face in each image, and enrol it aligned."),
]


@app.callback()
def gallery() -> None:
    pass


@app.command(cls=Command)
def add(
    gallery: GalleryFile,
    name: Name,
    images: Images,
    model: GalleryModel = None,
    faces: Faces = False,
    detector: Detector = None,
) -> int:
    """Enrol the vectors of images under a name. The images themselves are not stored."""
    return command("gallery")("add", gallery, name, images, model, faces=faces, detector=detector)


@app.command("list", cls=Command)
def list_names(gallery: GalleryFile, json: Json = False) -> int:
    """List the names and the number of their vectors."""
    return command("gallery")("list", gallery, as_json=json)


@app.command(cls=Command)
def remove(gallery: GalleryFile, name: Name) -> int:
    """Remove all vectors of a name."""
    return command("gallery")("remove", gallery, name)


def identify(
    gallery: GalleryFile,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Image files, folders of images, a video, or a camera: /dev/video0."),
    ],
    model: GalleryModel = None,
    threshold: Threshold = None,
    detector: Detector = None,
    json: Json = False,
) -> int:
    """Say whom or what images show, by a gallery, or "no one I know"."""
    return command("identify")(gallery, images, model, threshold, json, detector)
