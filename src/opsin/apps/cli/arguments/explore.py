"""The arguments of `opsin explore` and `opsin similar`."""

from __future__ import annotations

from typing import Annotated

import typer

from opsin.apps.cli.arguments.shared import Json
from opsin.apps.cli.lazy import command

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="A folder of images, which may have subfolders.", show_default=False)
]
FeatureModel = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        show_default="efficientnet_lite0",
        help="A model file or a network with published weights, whose features are compared.",
    ),
]
Cache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Keep decoded images and features in the cache folder.")
]


def explore(
    folder: Folder,
    model: FeatureModel = None,
    groups: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", show_default="by the images", help="The number of groups."),
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The page.")] = "explore.html",
    label: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Make this folder, with a class folder of links for each group."),
    ] = None,
    cache: Cache = True,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and write no page.")] = False,
) -> int:
    """Look for groups, near-duplicates and outliers in a folder of images without labels, on one page."""
    return command("explore")(folder, model, groups, out, label, cache, json)


def similar(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image file.", show_default=False)],
    folder: Folder,
    model: FeatureModel = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Images to list.")] = 10,
    cache: Cache = True,
    json: Json = False,
) -> int:
    """List the images of a folder that are most like an image."""
    return command("similar")(image, folder, model, top, cache, json)
