"""Colours of classes that the colour-blind can tell apart."""

from __future__ import annotations

Colour = tuple[int, int, int]

OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167), (0, 114, 178), (240, 228, 66),
)  # fmt: skip
"""Orange, sky blue, green, vermilion, purple, blue and yellow of Okabe & Ito, "Color universal design", 2008."""

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SHADES: tuple[tuple[Colour, float], ...] = ((BLACK, 0.0), (BLACK, 0.45), (WHITE, 0.55))
"""With how much black or white the colours are mixed, in turn, once all are used."""


def colour_of(class_id: int) -> Colour:
    """Return the colour of a class: black for the first, then those of Okabe and Ito, then darker and lighter ones.

    Colours repeat after 21 classes.
    """
    if class_id == 0:
        return BLACK
    tone, base = divmod(class_id - 1, len(OKABE_ITO))
    other, share = SHADES[tone % len(SHADES)]
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(OKABE_ITO[base], other, strict=True))
    return red, green, blue
