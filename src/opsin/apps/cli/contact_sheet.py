"""`opsin data show`: draw a contact sheet of images as training sees them."""

from __future__ import annotations

from io import BytesIO

import typer

from opsin.apps.cli.load_data import load_as_trained, task_request
from opsin.apps.cli.output import print_heading, write_file
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.data.augment import Augmentation, describe, policy_for, preset
from opsin.report.contact_sheet import MAX_ROWS, contact_sheet
from opsin.tasks.registry import is_annotated
from opsin.tasks.views import views_of


def run(
    data: str,
    task: str | None,
    target: str | None,
    augment: str,
    size: int | None,
    pixel_range: tuple[float, float] | None,
    out: str | None,
) -> int:
    """Write the contact sheet and describe it."""
    preset(augment, (3, 64, 64))  # refuses an unknown level before any image is read
    if out is not None and not out.lower().endswith(".png"):
        raise UsageError(f"a contact sheet is a PNG; name a file that ends in .png, not {out}")
    dataset = load_as_trained(data, size, None, pixel_range, task_request(task, target))
    images, path = dataset.train, out or f"{dataset.name}-contact-sheet.png"
    preprocessing = Preprocessing.of(images)
    augmentation = policy_for(augment, images, preprocessing, views=views_of(images.task, None))
    png = BytesIO()
    contact_sheet(images, preprocessing, augmentation, None if augment != "none" else 1).save(png, "PNG")
    write_file(path, png.getvalue())
    count, (channels, height, width) = len(images.task.labels), images.shape
    rows = f"{count} classes" if count <= MAX_ROWS else f"{MAX_ROWS} of {count} classes"
    if is_annotated(images.task):
        rows = images.task.subject()
    print_heading(path, f"  {rows}, {height} × {width} pixels, {'grey' if channels == 1 else 'colour'}")
    if augmentation == Augmentation():
        typer.echo("Images are not changed.")
    else:
        typer.echo(f"Random changes of each image: {describe(augmentation)}.")
    return 0
