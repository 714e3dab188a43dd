"""A check of pages: valid nesting, nothing that is loaded, nothing that runs."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Collects tags, attributes and text; fails unless tags are nested correctly."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked_page(page: str) -> Checker:
    """Return what is on a page; fail if it is invalid, loads anything, or has a script."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open
    assert "script" not in {tag for tag, _ in checker.tags}
    for _, attrs in checker.tags:
        assert not any(key.startswith("on") for key in attrs)
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in page
    return checker
