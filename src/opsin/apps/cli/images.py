"""Images that a command is given: those of a folder, and too few frames of a film."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.apps.cli.output import print_warning
from opsin.base.errors import DataError
from opsin.data.sources import image_files

if TYPE_CHECKING:
    from opsin.data import Preprocessing


def paths_of(image: str) -> list[Path]:
    """Return the path of an image, or those of all images in a folder. Raise `DataError` if there are none in it."""
    if not os.path.isdir(image):
        return [Path(image)]
    paths = list(image_files(Path(image)))
    if not paths:
        raise DataError(f"{image}: there are no images in this folder")
    return paths


def warn_about_frames(count: int, preprocessing: Preprocessing) -> None:
    """Warn if `count` images are fewer than the frames that the network compares."""
    if count < preprocessing.frames:
        print_warning(
            f"the network compares each image with the {preprocessing.frames - 1} before it, and takes the first "
            "one as standing still; give the frames of a film in their order"
        )
