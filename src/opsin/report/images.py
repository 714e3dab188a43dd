"""Images in a page: small copies with a few words below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from opsin.report.examples import Example
from opsin.report.model_report import ModelReport


def image(account: ModelReport, key: str | None, name: str = "") -> str:
    """The small copy kept under `key`; nothing where there is none."""
    address = account.thumbnails.get(key or "")
    if address is None:
        return ""
    tiny = ' class="tiny"' if address.startswith("data:image/png") else ""
    return f'<img{tiny} src="{address}" alt="{escape(name)}" title="{escape(name)}" loading="lazy">'


def images(account: ModelReport, items: Iterable[Example], tell: Callable[[Example], str]) -> str:
    """A grid of images, under each what `tell` says of it, as HTML, and its name."""
    rows = "".join(
        f"<li>{image(account, seen.thumbnail, seen.name)}{tell(seen)}"
        f'<span class="file">{escape(short(seen.name))}</span></li>'
        for seen in items
    )
    return f'<ul class="images">{rows}</ul>'


def short(name: str, most: int = 28) -> str:
    """A name of at most so many characters: its end, which tells files apart."""
    return name if len(name) <= most else f"…{name[-(most - 1) :]}"
