"""Draw faces on a photo: boxes, landmarks and names."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from opsin.faces.face import Face
from opsin.tasks.detection.answers import Detection
from opsin.tasks.detection.draw import draw_detections

POINT, EDGE = "#ffffff", "#10151a"
RADIUS_SHARE = 1 / 40
"""The radius of a landmark as a share of the height of its face."""


def draw_faces(image: Image.Image, faces: Sequence[Face], names: Sequence[str] | None = None) -> Image.Image:
    """Return a copy of a photo with faces, and a name for each; without names, the detector's confidence."""
    labels = [("face", face.score) for face in faces] if names is None else [(name, 1.0) for name in names]
    result = draw_detections(
        image,
        [Detection(label, score, face.box) for (label, score), face in zip(labels, faces, strict=True)],
    )
    factor = result.width / image.width
    canvas = ImageDraw.Draw(result)
    for face in faces:
        radius = max(1.5, face.height * factor * RADIUS_SHARE)
        for x, y in face.landmarks * factor:
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=POINT, outline=EDGE)
    return result
