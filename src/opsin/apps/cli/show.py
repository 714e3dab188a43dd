"""`opsin data show`: a contact sheet of what a network will see."""

from __future__ import annotations

from io import BytesIO

import typer

from opsin.apps.cli.loading import read_to_see
from opsin.apps.cli.output import print_heading, write_aside
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.data.augment import Augmentation, describe, policy_for, preset
from opsin.viz.contact_sheet import MOST_ROWS, VERSIONS, contact_sheet


def run(data: str, augment: str, size: int | None, pixel_range: tuple[float, float] | None, out: str | None) -> int:
    """Draws the sheet and says what is on it."""
    preset(augment, (3, 64, 64))  # refuses an unknown level before anything is read
    if out is not None and not out.lower().endswith(".png"):
        raise UsageError(f"a contact sheet is a PNG; name a file that ends in .png, not {out}")
    dataset = read_to_see(data, size, pixel_range=pixel_range)
    images, path = dataset.train, out or f"{dataset.name}-contact-sheet.png"
    preprocessing = Preprocessing.of(images)
    policy = policy_for(augment, images, preprocessing)
    versions = VERSIONS if augment != "none" else 1
    image = BytesIO()
    contact_sheet(images, preprocessing, policy, versions).save(image, "PNG")
    write_aside(path, image.getvalue())
    count, (channels, height, width) = len(images.classes), images.shape
    rows = f"{count} classes" if count <= MOST_ROWS else f"{MOST_ROWS} of {count} classes"
    print_heading(path, f"  {rows}, {height} × {width} pixels, {'grey' if channels == 1 else 'colour'}")
    changed = policy != Augmentation()
    typer.echo(f"Each image is, at random: {describe(policy)}." if changed else "Nothing is changed.")
    return 0
