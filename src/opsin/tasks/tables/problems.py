"""Kinds of problems of tables of images: stable keys for programs."""

from __future__ import annotations

MISSING_NUMBER = "missing number"
INVALID_NUMBER = "invalid number"
INVALID_LABEL = "invalid label"
CONTRADICTION = "contradicting rows"
UNKNOWN_SPLIT = "unknown split"
NO_IMAGE = "no image named"
UNREADABLE_IMAGE = "unreadable image"
"""In addition to those of paths: "missing image", "ambiguous image", "unsafe path"; and of tables: "file too large",
"unreadable file"."""
