"""Pictures in a page: small copies with a few words below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from opsin.reporting.account import Account
from opsin.reporting.findings import Seen


def picture(account: Account, key: str | None, name: str = "") -> str:
    """The small copy kept under `key`; nothing where there is none."""
    address = account.thumbnails.get(key or "")
    if address is None:
        return ""
    tiny = ' class="tiny"' if address.startswith("data:image/png") else ""
    return f'<img{tiny} src="{address}" alt="{escape(name)}" title="{escape(name)}" loading="lazy">'


def pictures(account: Account, items: Iterable[Seen], tell: Callable[[Seen], str]) -> str:
    """A grid of pictures, under each what `tell` says of it, as HTML, and its name."""
    rows = "".join(
        f"<li>{picture(account, seen.thumbnail, seen.name)}{tell(seen)}"
        f'<span class="file">{escape(short(seen.name))}</span></li>'
        for seen in items
    )
    return f'<ul class="pictures">{rows}</ul>'


def short(name: str, most: int = 28) -> str:
    """A name of at most so many characters: its end, which tells files apart."""
    return name if len(name) <= most else f"…{name[-(most - 1) :]}"
