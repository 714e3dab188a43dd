"""The classes and the palette of Pascal VOC (Everingham et al. 2010)."""

from __future__ import annotations

VOC_CLASSES = tuple(
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor".split()
)


def voc_colour(index: int) -> int:
    """Return the colour of a class id, as red · 65536 + green · 256 + blue.

    The bits of the id are dealt to red, green and blue in turn, from the highest bit of each colour downwards.
    """
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (index >> bit & 1) << 7 - bit // 3
    red, green, blue = channels
    return red << 16 | green << 8 | blue


VOC_VOID = voc_colour(255)
"""The colour of the outlines between objects, which do not count."""
