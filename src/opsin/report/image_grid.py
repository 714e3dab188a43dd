"""Images in a page: thumbnails with a caption."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from opsin.report.common import Report
from opsin.report.examples import Example

MAX_NAME_LENGTH = 28


def image(report: Report, key: str | None, name: str = "") -> str:
    """Return the thumbnail stored under `key` as HTML; nothing if there is none."""
    url = report.thumbnails.get(key or "")
    if url is None:
        return ""
    tiny = ' class="tiny"' if url.startswith("data:image/png") else ""
    return f'<img{tiny} src="{url}" alt="{escape(name)}" title="{escape(name)}" loading="lazy">'


def image_grid(report: Report, examples: Iterable[Example], caption: Callable[[Example], str]) -> str:
    """Return a grid of images, each with `caption(example)` (HTML) and its name."""
    items = "".join(
        f"{_cell(example)}{example.html or image(report, example.thumbnail, example.name)}{caption(example)}"
        f'<span class="file">{escape(shortened(example.name))}</span></li>'
        for example in examples
    )
    return f'<ul class="images">{items}</ul>'


def _cell(example: Example) -> str:
    """Return the beginning of a cell; those of texts are wider."""
    return '<li class="text">' if example.html.startswith("<q") else "<li>"


def shortened(name: str) -> str:
    """Return the end of a long name, which distinguishes files."""
    return name if len(name) <= MAX_NAME_LENGTH else f"…{name[-(MAX_NAME_LENGTH - 1) :]}"
