"""Read annotated boxes in whatever form they are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from opsin.base.formatting import listed
from opsin.tasks.annotations import Annotations, Files, ImageSize
from opsin.tasks.detection import coco, table, voc, yolo

Reader = Callable[[Files, ImageSize], Annotations | None]

READERS: Mapping[str, Reader] = {"coco": coco.read, "voc": voc.read, "yolo": yolo.read, "table": table.read}
"""In the order in which they are preferred if they find the same: the forms that say most come first."""


def detect(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the boxes of the files; None if there are no annotations in any of the known forms.

    `image_size` returns height and width of one of the paths, as the decoder gives the image, or None if it cannot be
    read. If the data holds several forms, the one with the most annotated images is taken, and a note says so.
    """
    size = cache(image_size)
    results = [result for read in READERS.values() if (result := read(files, size)) is not None]
    if not results:
        return None
    best = max(results, key=_annotated_images)
    if len(results) == 1:
        return best
    return replace(best, notes=(_choice(best, results), *best.notes))


def _annotated_images(annotations: Annotations) -> int:
    return sum(len(image.target) > 0 for image in annotations.images)


def _choice(best: Annotations, results: list[Annotations]) -> str:
    found = listed(map(_described, results), conjunction="and")
    most = _annotated_images(best)
    tied = sum(_annotated_images(result) == most for result in results) > 1
    why = "it says most of several that cover as many images" if tied else "it covers the most images"
    return f"The boxes are annotated in several forms: {found}. {best.form} is used, because {why}."


def _described(annotations: Annotations) -> str:
    boxes, images = sum(annotations.counts.values()), _annotated_images(annotations)
    return f"{annotations.form} ({_counted(boxes, 'box', 'boxes')} in {_counted(images, 'image', 'images')})"


def _counted(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {many}"
