"""Drawings: architecture diagrams, icicle plots, charts and contact sheets, on a small SVG library."""

from opsin.viz.architecture import diagram

__all__ = ["diagram"]
