"""How wide words are, and how numbers are written in an image."""

from __future__ import annotations

from collections.abc import Sequence

WIDTHS = {
    278: " .,:;/!ftI[]|", 222: "ijl", 333: "()-r", 500: "cksvxyzJ", 584: "×+=<>~", 611: "FTZ", 667: "ABEKPSVXY&",
    722: "CDHNRUw", 778: "GOQ", 833: "mM", 889: "%", 944: "W", 1000: "…@",
}  # fmt: skip
"""Advance widths of Helvetica's characters in thousandths of the size (Adobe's font metrics); others have 556."""

_WIDTH = {letter: width for width, letters in WIDTHS.items() for letter in letters}
BOLD = 1.07
"""Bold letters are wider by so much."""


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Pixels that `text` takes in Helvetica, or a face like it."""
    return sum(_WIDTH.get(letter, 556) for letter in text) / 1000 * size * (BOLD if bold else 1)


def count(number: int) -> str:
    """`9,408`, `36.9 k`, `2.36 M`, `102.8 M`: three digits or a little more."""
    if number < 10_000:
        return f"{number:,}"
    scaled, unit = next(
        ((number / size, unit) for size, unit in ((1e3, "k"), (1e6, "M")) if number < 999.95 * size),
        (number / 1e9, "G"),
    )
    return f"{scaled:.2f} {unit}" if scaled < 10 else f"{scaled:.1f} {unit}"


def between(words: Sequence[str]) -> str:
    """The first and the last word, or one where they are the same."""
    return words[0] if words[0] == words[-1] else f"{words[0]}–{words[-1]}"
