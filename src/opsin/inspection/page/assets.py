"""The script and the style sheet of a page, joined from the files of this package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from opsin.viz.page_style import base_style

SHARED_SCRIPTS = (
    "dom.js", "page.js", "number.js", "palette.js", "heat_map.js", "controls.js", "sprite.js", "arithmetic.js",
)  # fmt: skip
"""Scripts whose names all views see, in this order; the start comes last."""


def script(views: Sequence[str]) -> str:
    """Return the script of a page with these views. What a view's file declares stays inside it."""
    root = _root()
    shared = [_text(root / "assets" / name) for name in SHARED_SCRIPTS]
    parts = [f"{{\n{_text(file)}}}\n" for name in views for file in _files(root / "views" / name, ".js")]
    return "\n".join(["'use strict';", *shared, *parts, _text(root / "assets" / "start.js")])


def style(views: Sequence[str], more: str = "") -> str:
    """Return the style sheet of a page with these views."""
    root = _root()
    parts = [_text(file) for name in views for file in _files(root / "views" / name, ".css")]
    return "\n".join([base_style(), _text(root / "assets" / "page.css"), more, *parts])


def _root() -> Traversable:
    return files("opsin.inspection")


def _files(folder: Traversable, suffix: str) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(suffix)), key=lambda file: file.name)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
