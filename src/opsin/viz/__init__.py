"""Drawings: architecture diagrams, icicle plots and charts, on a small SVG library."""

from opsin.viz.architecture import diagram

__all__ = ["diagram"]
