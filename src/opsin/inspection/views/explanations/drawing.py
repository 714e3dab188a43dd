"""The answer for an image, drawn on it: boxes, or areas."""

from __future__ import annotations

from opsin.explain.observer import Floats
from opsin.inspection.subject import Subject
from opsin.report.drawing import as_image
from opsin.report.thumbnails import jpeg_url

SIDE, QUALITY = 640, 78
"""The larger side of a drawing in pixels, and its JPEG quality."""


def drawn_answer(subject: Subject, number: int, outputs: dict[str, Floats]) -> str | None:
    """Return image `number` with the answer for it, from the network's `outputs`, as a `data:` URL.

    Return None if answers are no places in the image.
    """
    task = subject.model.task
    if not getattr(task, "spatial", False):
        return None
    scale = SIDE / max(subject.images[number].size)
    height, width = (max(1, round(scale * side)) for side in subject.images[number].size)
    answer = task.answers(outputs, [(height, width)], subject.model.calibration, None)[0]
    return jpeg_url(task.draw(as_image(subject.shown_image(number), (height, width)), answer), SIDE, QUALITY)
