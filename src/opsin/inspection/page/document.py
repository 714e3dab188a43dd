"""The HTML file: data, one script and one style sheet, which its content security policy knows by their digests."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from opsin import __version__

SEE = "opsin see"
"""The command that makes such pages; they are recognised by its name in the file."""

NOTEBOOK_HEIGHT = 860
"""Pixels of the page in a notebook."""

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters of JSON that could end a script element, or that scripts read as line ends."""


@dataclass(frozen=True)
class Section:
    """A view's part of the page: its name in addresses, its title, and markup that needs no script."""

    name: str
    title: str
    markup: str = ""


def document(
    title: str,
    lead: str,
    sections: Iterable[Section],
    data: Any,
    arrays: str,
    script: str,
    style: str,
    generator: str = SEE,
) -> str:
    """Return the page. `data` is written as JSON, `arrays` is the text of `Arrays.encoded`.

    `generator` is the command that makes the page.
    """
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    shown = list(sections)
    links = "".join(f'<a href="#{each.name}">{escape(each.title)}</a>' for each in shown)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="generator" content="{generator} {__version__}">',
        f"<title>{escape(title)}</title><style>{style}</style></head>",
        '<body><a class="skip" href="#main">Skip to the content</a>',
        f'<header><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p><div id="images"></div></header>',
        f'<nav aria-label="Views" id="views">{links}</nav>',
        '<main id="main" tabindex="-1">',
        *(_section(each, first=each is shown[0]) for each in shown),
        "</main>",
        '<noscript><p class="note">This page needs its script, which is part of the file.</p></noscript>',
        '<output id="readout" aria-live="polite"></output>',
        f'<footer><p id="left-out"></p><p>Made by Opsin {__version__}. The file needs no network.</p></footer>',
        f'<script type="application/json" id="data">{json_text(data)}</script>',
        f'<script type="text/plain" id="arrays">{arrays}</script>',
        f"<script>{script}</script>",
        "</body></html>",
        "",
    ]
    return "\n".join(parts)


def notebook_frame(html: str, generator: str = SEE) -> str:
    """Return the page as an element of a notebook."""
    return (
        f'<iframe srcdoc="{escape(html)}" sandbox="allow-scripts" title="{generator}" '
        f'style="width: 100%; height: {NOTEBOOK_HEIGHT}px; border: 0"></iframe>'
    )


def _section(section: Section, first: bool) -> str:
    hidden = "" if first else " hidden"
    return (
        f'<section class="view" id="view-{section.name}" aria-labelledby="title-{section.name}"{hidden}>'
        f'<h2 id="title-{section.name}">{escape(section.title)}</h2>{section.markup}</section>'
    )


def digest(text: str) -> str:
    """Return the source expression of a content security policy for an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def json_text(data: Any) -> str:
    """Return JSON that is safe inside a script element, whatever strings it holds.

    Surrogates that no text may hold, such as those of undecodable file names, become replacement characters.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, replacement in ESCAPES.items():
        text = text.replace(character, replacement)
    return text.encode("utf-8", "replace").decode("utf-8")
