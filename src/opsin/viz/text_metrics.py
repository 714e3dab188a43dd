"""The width of text in a drawing, and compact numbers."""

from __future__ import annotations

from collections.abc import Sequence

WIDTHS = {
    278: " .,:;/!ftI[]|", 222: "ijl", 333: "()-r", 500: "cksvxyzJ", 584: "×+=<>~", 611: "FTZ", 667: "ABEKPSVXY&",
    722: "CDHNRUw", 778: "GOQ", 833: "mM", 889: "%", 944: "W", 1000: "…@",
}  # fmt: skip
"""Advance widths of Helvetica's characters in thousandths of the font size (Adobe's font metrics)."""

DEFAULT_WIDTH = 556
BOLD_FACTOR = 1.07
"""The width of bold letters relative to regular ones."""

_WIDTH = {letter: width for width, letters in WIDTHS.items() for letter in letters}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of `text` in pixels, set in Helvetica or a similar font of `size` pixels."""
    return sum(_WIDTH.get(letter, DEFAULT_WIDTH) for letter in text) / 1000 * size * (BOLD_FACTOR if bold else 1)


def short_count(number: int) -> str:
    """Return about three digits of a number: `9,408`, `36.9 k`, `2.36 M`, `102.8 M`."""
    if number < 10_000:
        return f"{number:,}"
    quotient, unit = next(
        ((number / size, unit) for size, unit in ((1e3, "k"), (1e6, "M")) if number < 999.95 * size),
        (number / 1e9, "G"),
    )
    return f"{quotient:.2f} {unit}" if quotient < 10 else f"{quotient:.1f} {unit}"


def value_range(texts: Sequence[str]) -> str:
    """Return the first and the last text as a range, or one of them if they are equal."""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]}–{texts[-1]}"
