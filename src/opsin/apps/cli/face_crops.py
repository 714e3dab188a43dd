"""Aligned images of the faces in photos, as files to train or enrol with."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.faces import ARCFACE, Face, align
from opsin.faces.photo import open_photo
from opsin.faces.vectors import template_of
from opsin.model import Model

SIZE = (112, 112)
"""Height and width, if no model says otherwise."""

JPEG_QUALITY = 95


class FaceCrops:
    """Writes `1.face1.jpg`, `1.face2.jpg`, … for the faces in `1.jpg`, in folders like those of the photos.

    With a `model` they have its size and its alignment.
    """

    def __init__(self, folder: Path, model: Model | None) -> None:
        self.folder = folder
        self.size = model.preprocessing.size if model else SIZE
        self.template = template_of(model) if model else ARCFACE

    def write(self, file: Path, given: Path, faces: Sequence[Face]) -> None:
        """Write the faces in a file, which is `given` or in this folder. Raise `UsageError` if that fails."""
        target = self.folder / (file.relative_to(given).parent if file != given else "")
        image = open_photo(file) if faces else None
        for number, face in enumerate(faces, start=1):
            content = BytesIO()
            assert image is not None
            align(image, face.landmarks, self.size, self.template).save(content, "JPEG", quality=JPEG_QUALITY)
            path = target / f"{file.stem}.face{number}.jpg"
            try:
                target.mkdir(parents=True, exist_ok=True)
                atomic_write(path, content.getvalue())
            except OSError as error:
                raise UsageError(f"{path} cannot be written: {error.strerror}; give another folder") from None
