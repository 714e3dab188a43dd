"""What the samples of a report are called: the texts of reports speak of images, and are written for other kinds."""

from __future__ import annotations

import re
from functools import partial

from opsin.inputs.registry import IMAGE, NOUNS

MARKUP = re.compile(r"(<(style|script|svg|q)\b.*?</\2>|<[^>]*>)", re.DOTALL)
"""Tags, and elements whose text stays as it is: `q` holds the words of the user."""

WORD = re.compile(r"\b([Aa]n )?([Ii])mage(s?)\b|\bIMAGE\b")


def renamed(text: str, kind: str) -> str:
    """Return a text about images as one about samples of another kind: "an image" becomes "a recording"."""
    return text if kind == IMAGE else WORD.sub(partial(_noun, kind), text)


def renamed_page(page: str, kind: str) -> str:
    """Return an HTML page in whose text, and nowhere else, images are called as samples of their kind are."""
    if kind == IMAGE:
        return page
    end, parts = 0, []
    for match in MARKUP.finditer(page):
        parts += [renamed(page[end : match.start()], kind), match[0]]
        end = match.end()
    return "".join([*parts, renamed(page[end:], kind)])


def _noun(kind: str, match: re.Match[str]) -> str:
    article, initial, plural = match.groups()
    if initial is None:
        return NOUNS[kind][0].upper()
    noun = NOUNS[kind][1 if plural else 0]
    noun = noun.capitalize() if initial == "I" else noun
    if not article:
        return noun
    return f"{article[0]}{'n' if noun[0] in 'aeiou' else ''} {noun}"
