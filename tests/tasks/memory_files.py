"""Files in memory, for the readers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from opsin.base.errors import DataError

HEIGHT, WIDTH = 100, 200
"""The size of every image in pixels."""

Content = str | bytes | None


class MemoryFiles:
    """Files by path; one whose content is None cannot be read."""

    name = "memory"

    def __init__(self, *contents: Mapping[str, Content]) -> None:
        self._contents = {path: content for part in contents for path, content in part.items()}

    @property
    def paths(self) -> Sequence[str]:
        return sorted(self._contents)

    def read(self, path: str) -> bytes:
        content = self._contents[path]
        if content is None:
            raise DataError(f"{path} cannot be read")
        return content.encode() if isinstance(content, str) else content


def image_size(path: str) -> tuple[int, int] | None:
    """Return the size of every image; images called broken cannot be read."""
    return None if "broken" in path else (HEIGHT, WIDTH)


def images(*paths: str) -> dict[str, Content]:
    """Return different images, which need no content to be listed."""
    return {path: path.encode() for path in paths}


def numbered(count: int, folder: str = "") -> dict[str, Content]:
    return images(*(f"{folder}{number:04}.jpg" for number in range(count)))


def encoded_image(pixels: Sequence[Sequence[int]]) -> bytes:
    """Return a grey PNG."""
    file = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()
