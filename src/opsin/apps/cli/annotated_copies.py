"""Copies of images with the answers of a model drawn on them."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from opsin.base.atomic import atomic_write
from opsin.base.errors import UsageError
from opsin.data.decode import read_image

JPEG_QUALITY = 92


class AnnotatedCopies:
    """Writes images with answers of `task` into a folder: `street.answer.jpg`, and for masks `street.mask.png`."""

    def __init__(self, folder: Path, task: Any) -> None:
        if not hasattr(task, "draw"):
            raise UsageError(f"the answers of a model for {task.name} cannot be drawn; leave out --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be created: {error.strerror}; give another folder") from None
        self.folder, self.task, self._stems = folder, task, set[str]()

    def write(self, name: str, content: Path | bytes, answer: Any) -> None:
        """Write the copy of an image, which is called `name`. Raise `DataError` if it cannot be decoded any more."""
        stem = self._stem(name)
        file = BytesIO()
        self.task.draw(read_image(content, name), answer).save(file, "JPEG", quality=JPEG_QUALITY)
        self._write(f"{stem}.answer.jpg", file.getvalue())
        if hasattr(answer, "to_png"):
            self._write(f"{stem}.mask.png", answer.to_png())

    def _stem(self, name: str) -> str:
        """Return a name that no other copy has: that of the file, if necessary with a number."""
        stem = os.path.splitext(os.path.basename(name))[0]
        number, unique = 1, stem
        while unique in self._stems:
            number += 1
            unique = f"{stem}-{number}"
        self._stems.add(unique)
        return unique

    def _write(self, name: str, data: bytes) -> None:
        try:
            atomic_write(self.folder / name, data)
        except OSError as error:
            raise UsageError(f"{self.folder / name} cannot be written: {error.strerror}") from None
