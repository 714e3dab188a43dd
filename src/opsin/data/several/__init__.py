"""Several inputs together: rows of a table whose columns are images, recordings, signals, texts and numbers."""

from opsin.data.several.several import Several

__all__ = ["Several"]
