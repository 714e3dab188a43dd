"""Images in memory, and what readers of boxes find of them."""

from __future__ import annotations

from opsin.tasks.annotations import AnnotatedImage, Annotations
from tests.tasks.memory_files import HEIGHT, WIDTH, Content


def images(*paths: str) -> dict[str, Content]:
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
