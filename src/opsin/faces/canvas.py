"""The square image in which a detector looks: a photo, made smaller if it is large, on grey if it is not square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.data.decode import Stretch
from opsin.faces.face import Face

GREY = 127
"""What surrounds a photo that is not square."""


@dataclass(frozen=True)
class Canvas:
    """A photo on a square of `side` pixels: `scale` times as large, from `left` and `top` on."""

    side: int
    scale: float
    left: int
    top: int
    size: tuple[int, int]
    """Height and width of the photo, in pixels of the square."""

    @classmethod
    def of(cls, image: Image.Image, side: int, share: float, max_scale: float) -> Canvas:
        """Return a square whose `share` the longer side of the photo takes, enlarged at most by `max_scale`."""
        scale = min(side * share / max(image.size), max_scale)
        height, width = (max(1, round(length * scale)) for length in (image.height, image.width))
        return cls(side, scale, (side - width) // 2, (side - height) // 2, (height, width))

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the square, uint8 3 × side × side."""
        height, width = self.size
        result = np.full((3, self.side, self.side), GREY, np.uint8)
        result[:, self.top : self.top + height, self.left : self.left + width] = Stretch().apply(image, height, width)
        return result

    def in_photo(self, face: Face) -> Face:
        """Return a face of the square in pixels of the photo."""
        corner = np.array([self.left, self.top])
        left, top = (np.array(face.box[:2]) - corner) / self.scale
        right, bottom = (np.array(face.box[2:]) - corner) / self.scale
        box = float(left), float(top), float(right), float(bottom)
        return Face(box, (face.landmarks - corner) / self.scale, face.score)
