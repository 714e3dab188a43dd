"""The script and the style sheet of a page, joined from the files of this package and of its views."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from opsin.viz.page_style import base_style

SHARED_SCRIPTS = (
    "dom.js", "page.js", "number.js", "palette.js", "heat_map.js", "controls.js", "sprite.js", "arithmetic.js",
)  # fmt: skip
"""Scripts whose names all views see, in this order; the start comes last."""


def script(views: Sequence[Traversable], more: Sequence[Traversable] = ()) -> str:
    """Return the script of a page with the views in these folders. What a view's file declares stays inside it.

    `more` are further files whose names all views see.
    """
    assets = files("opsin.inspection") / "assets"
    shared = [_text(file) for file in (*(assets / name for name in SHARED_SCRIPTS), *more)]
    parts = [f"{{\n{_text(file)}}}\n" for folder in views for file in _files(folder, ".js")]
    return "\n".join(["'use strict';", *shared, *parts, _text(assets / "start.js")])


def style(views: Sequence[Traversable], more: str = "") -> str:
    """Return the style sheet of a page with the views in these folders."""
    parts = [_text(file) for folder in views for file in _files(folder, ".css")]
    return "\n".join([base_style(), _text(files("opsin.inspection") / "assets" / "page.css"), more, *parts])


def view_folder(name: str, package: str = "opsin.inspection") -> Traversable:
    """Return the folder of a view, which is in the folder `views` of a package."""
    return files(package) / "views" / name


def _files(folder: Traversable, suffix: str) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(suffix)), key=lambda file: file.name)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
