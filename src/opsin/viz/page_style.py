"""The style sheet that all HTML pages begin with."""

from __future__ import annotations

from importlib.resources import files


def base_style() -> str:
    """Return the type, the colours and the controls of pages."""
    return (files("opsin.viz") / "assets" / "base.css").read_text(encoding="utf-8")
