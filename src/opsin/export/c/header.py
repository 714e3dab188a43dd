"""The `.h` file of a model."""

from __future__ import annotations

from opsin.export.c.answers import Answers
from opsin.export.c.program import Shipment
from opsin.export.c.ram import ram_bytes
from opsin.export.c.source import head
from opsin.export.c.templates import asset, renamed

OUTPUTS = """
/* Load an image and write the numbers of `Model.outputs`, the mean over the image and its mirror image if the model
   was told so. Return a state. */
int model_outputs(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *values);
"""


ROWS = """
/* Give the next row of an image of the network's size: MODEL_WIDTH pixels of MODEL_CHANNELS bytes. Row 0 begins a new
   image. Return a state: MODEL_BAD_IMAGE if it is not the next row. After the last row, model_run returns the
   results; before, it returns NULL. */
int model_feed_row(int32_t number, const uint8_t *pixels);
"""
FILM = """
/* The network compares MODEL_FRAMES frames of a film: each image that is loaded is the next frame, and the first one
   also stands for those before it. Begin a new film. */
#define MODEL_FRAMES @frames@
void model_restart(void);
"""


def header(shipment: Shipment, answers: Answers) -> str:
    """Return the text of the `.h` file."""
    model = shipment.model
    channels, height, width = model.preprocessing.shape
    return asset(
        "header.h", shipment, head=head(shipment), width=width, height=height, channels=channels,
        outputs=shipment.outputs, labels=_labels(shipment), ram=ram_bytes(shipment),
        weights=len(shipment.program.constants), goldens=len(shipment.goldens.values),
        streamed=int(shipment.is_streamed), rows=renamed(ROWS, shipment) if shipment.is_streamed else "",
        predict=renamed(_film(shipment) + OUTPUTS, shipment) + answers.header,
    )  # fmt: skip


def _film(shipment: Shipment) -> str:
    frames = shipment.model.preprocessing.frames
    return FILM.replace("@frames@", str(frames)) if frames > 1 else ""


def _labels(shipment: Shipment) -> str:
    count = len(shipment.model.labels)
    if not count:
        return ""
    of = "each of them is about" if count == shipment.outputs else "they are about"
    return renamed(f"\n/* What {of}, in UTF-8. */\nextern const char *const model_labels[{count}];\n", shipment)
