"""What samples are called: texts of readers and reports speak of images, and are written for other kinds."""

from __future__ import annotations

import re
from functools import partial

from opsin.inputs.registry import IMAGE, NOUNS

WORD = re.compile(r"\b([Aa]n )?([Ii])mage(s?)\b|\bIMAGE\b")


def renamed(text: str, kind: str) -> str:
    """Return a text about images as one about samples of another kind: "an image" becomes "a recording"."""
    return text if kind == IMAGE else WORD.sub(partial(_noun, kind), text)


def _noun(kind: str, match: re.Match[str]) -> str:
    article, initial, plural = match.groups()
    if initial is None:
        return NOUNS[kind][0].upper()
    noun = NOUNS[kind][1 if plural else 0]
    noun = noun.capitalize() if initial == "I" else noun
    if not article:
        return noun
    return f"{article[0]}{'n' if noun[0] in 'aeiou' else ''} {noun}"
