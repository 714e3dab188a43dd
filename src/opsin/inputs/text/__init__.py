"""Texts: files and tables of sentences, as the numbers of their words."""

from opsin.inputs.text.text import Text

__all__ = ["Text"]
