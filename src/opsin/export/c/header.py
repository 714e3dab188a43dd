"""The `.h` file of a model."""

from __future__ import annotations

import numpy as np

from opsin.export.c.answers import Answers
from opsin.export.c.program import Shipment
from opsin.export.c.source import head
from opsin.export.c.templates import asset, renamed

OUTPUTS = """
/* Load an image and write the numbers of `Model.outputs`, the mean over the image and its mirror image if the model
   was told so. Return a state. */
int model_outputs(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *values);
"""


def header(shipment: Shipment, answers: Answers) -> str:
    """Return the text of the `.h` file."""
    model = shipment.model
    channels, height, width = model.preprocessing.shape
    return asset(
        "header.h", shipment, head=head(shipment), width=width, height=height, channels=channels,
        outputs=shipment.outputs, labels=_labels(shipment), ram=ram_bytes(shipment),
        weights=len(shipment.program.constants), goldens=len(shipment.goldens.images),
        predict=renamed(OUTPUTS, shipment) + answers.header,
    )  # fmt: skip


def ram_bytes(shipment: Shipment) -> int:
    """Return the bytes of all static variables: the arena, and what averaging over mirror images keeps."""
    averaging = 4 * shipment.outputs + int(np.prod(shipment.model.preprocessing.shape)) if shipment.model.tta else 0
    return shipment.program.arena_bytes + averaging


def _labels(shipment: Shipment) -> str:
    text = "\n/* What each of them is about, in UTF-8. */\nextern const char *const model_labels[MODEL_OUTPUTS];\n"
    return renamed(text, shipment)
