"""Split texts into words, or into bytes, and number them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""The numbers of the places after the end of a text, of a token that is not in the vocabulary, and the first others."""

WORDS, BYTES = "words", "bytes"
UNITS = (WORDS, BYTES)

WORD = re.compile(r"n't\b|'\w+|\w+?(?=n't\b)|\w+|[^\w\s]")
"""A word, or one other character that is not a space. "isn't" is "is" and "n't", "film's" is "film" and "'s", as in the
Penn Treebank (Marcus, Santorini & Marcinkiewicz 1993): each part has a vector, so fewer words are rare."""

MAX_VOCABULARY, LARGEST_VOCABULARY = 50_000, 1_000_000
"""The most words of a vocabulary without and with an option that asks for more."""


def split(text: str, unit: str) -> list[str]:
    """Return the tokens of a text: its words in small letters and its punctuation, or its bytes in UTF-8."""
    if unit == BYTES:
        return [chr(byte) for byte in text.encode("utf-8", "replace")]
    return WORD.findall(unicodedata.normalize("NFKC", text).lower().replace("’", "'"))


def vocabulary(texts: Iterable[Sequence[str]], unit: str, limit: int = MAX_VOCABULARY) -> tuple[str, ...]:
    """Return the tokens that occur in the texts, the most frequent first, and equally frequent ones in their order.

    The vocabulary of bytes is that of all 256, whatever occurs.
    """
    if unit == BYTES:
        return tuple(map(chr, range(256)))
    counts = Counter(token for tokens in texts for token in tokens)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(token for token, _ in ranked[:limit])
