"""What the samples of a report are called: the texts of reports speak of images, and are written for other kinds."""

from __future__ import annotations

import re

from opsin.inputs.nouns import renamed
from opsin.inputs.registry import IMAGE

MARKUP = re.compile(r"(<(style|script|svg|q)\b.*?</\2>|<[^>]*>)", re.DOTALL)
"""Tags, and elements whose text stays as it is: `q` holds the words of the user."""


def renamed_page(page: str, kind: str) -> str:
    """Return an HTML page in whose text, and nowhere else, images are called as samples of their kind are."""
    if kind == IMAGE:
        return page
    end, parts = 0, []
    for match in MARKUP.finditer(page):
        parts += [renamed(page[end : match.start()], kind), match[0]]
        end = match.end()
    return "".join([*parts, renamed(page[end:], kind)])
