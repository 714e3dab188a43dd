"""The frame of a page: one HTML file without network access, frameworks or scripts; and small parts of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from opsin import __version__
from opsin.report.common import Report


@dataclass(frozen=True)
class PageSection:
    """A part of a page: the `key` of its address, a heading, and its content as HTML."""

    key: str
    heading: str
    content: str


@dataclass(frozen=True)
class PageHead:
    """The top of a page, as text: what the report is about, the headline, what it rests on, and what to do next."""

    subject: str
    headline: str
    lead: str
    steps: tuple[str, ...]


def document(report: Report, head: PageHead, sections: Iterable[PageSection], note: str) -> str:
    """Return the HTML file. Sections without content are left out; `note` ends the last line."""
    style = (files("opsin.report") / "report.css").read_text(encoding="utf-8")
    shown = [section for section in sections if section.content]
    links = "".join(f'<a href="#{section.key}">{escape(section.heading)}</a>' for section in shown)
    steps = "".join(f"<li>{escape(step)}</li>" for step in head.steps)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
            "style-src 'unsafe-inline'\">",
            f"<title>{escape(f'{report.model}: {head.headline}')}</title><style>{style}</style></head>",
            "<body>",
            f'<header><p class="of">{escape(head.subject)}</p>',
            f"<h1>{escape(head.headline)}</h1>",
            f'<p class="lead">{escape(head.lead)}</p></header>',
            f'<div class="next"><h2>What to do next</h2><ol>{steps}</ol></div>',
            f"<nav>{links}</nav>",
            *(_section(section) for section in shown),
            f"<footer>Made by Opsin {__version__} in {report.seconds:.0f} s. {escape(note)}</footer>",
            "</body></html>",
            "",
        ]
    )


def _section(section: PageSection) -> str:
    return f'<section id="{section.key}"><h2>{escape(section.heading)}</h2>\n{section.content}</section>'


def paragraph(text: str, style: str = "") -> str:
    """Return text as a paragraph; nothing if there is none."""
    attribute = f' class="{style}"' if style else ""
    return f"<p{attribute}>{escape(text)}</p>" if text else ""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with their values as a list."""
    return f"<dl>{''.join(f'<dt>{escape(a)}</dt><dd>{escape(b)}</dd>' for a, b in rows)}</dl>"
