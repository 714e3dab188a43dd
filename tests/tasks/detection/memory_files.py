"""Files in memory, for the readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsin.base.errors import DataError
from opsin.tasks.annotations import AnnotatedImage, Annotations

HEIGHT, WIDTH = 100, 200


class MemoryFiles:
    """Files by path; images may be empty, because their sizes come from `image_size`."""

    name = "memory"

    def __init__(self, *contents: Mapping[str, str | bytes | None]) -> None:
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


def images(*paths: str) -> dict[str, str | bytes | None]:
    return dict.fromkeys(paths, b"")


def present(annotations: Annotations | None) -> Annotations:
    assert annotations is not None
    return annotations


def kinds(annotations: Annotations | None) -> list[tuple[str, str]]:
    """Return name and kind of all problems."""
    return [(problem.name, problem.kind) for problem in present(annotations).problems]


def image(annotations: Annotations | None, path: str) -> AnnotatedImage:
    return next(image for image in present(annotations).images if image.path == path)


def pixels(annotations: Annotations | None, path: str) -> list[list[float]]:
    """Return the corners of the boxes of an image in pixels."""
    shares = image(annotations, path).target.coordinates.astype(float)
    return [[round(v, 3) for v in row] for row in (shares * [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()]


def splits(annotations: Annotations | None) -> dict[str, str]:
    return {image.path: image.split for image in present(annotations).images}
