"""The static memory of a model."""

from __future__ import annotations

import numpy as np

from opsin.export.c.program import Shipment

FILM_BYTES = 4
"""Whether there is a frame."""
NEXT_ROW_BYTES = 4
"""The number of the next row."""
BORDER_BYTES = 8
"""Sums of the first and last rows and columns, of networks that need a dark background."""


def ram_bytes(shipment: Shipment) -> int:
    """Return the bytes of all static variables: the arena, and what averaging over mirror images and films keep."""
    averaging = 4 * shipment.outputs + int(np.prod(shipment.model.preprocessing.shape)) if shipment.model.tta else 0
    rows = NEXT_ROW_BYTES + BORDER_BYTES * shipment.model.preprocessing.dark_background if shipment.is_streamed else 0
    frames = shipment.model.preprocessing.frames
    film = FILM_BYTES + int(np.prod(shipment.model.preprocessing.input_shape)) if frames > 1 else 0
    return shipment.program.arena_bytes + averaging + rows + film
