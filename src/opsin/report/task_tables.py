"""Which columns of a task's table hold numbers."""

from __future__ import annotations

import re

from opsin.tasks.section import Table

NUMBER = re.compile(r"[<>≥±+−-]?\s?\d[\d,]*(\.\d+)?\s?%?")
"""A cell with a number, such as "1,234", "0.87", "<0.1%"."""

NOTHING = ("–", "")
"""Cells without a value."""


def is_number_column(table: Table, number: int) -> bool:
    """Return whether the cells of a column are numbers, at least one of them."""
    cells = [row[number] for row in table.rows if row[number] not in NOTHING]
    return bool(cells) and all(NUMBER.fullmatch(cell) for cell in cells)
