"""Parts of a report about an evaluation, as plain data: the report package writes them as page and as text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells as text. Columns of numbers are aligned to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Example:
    """An image of the evaluated ones, by its number, which is shown with truth and answer."""

    image: int
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs of text, then a table, figures as SVG, and examples, as far as there are any."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    figures: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
