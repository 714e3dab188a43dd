"""The core of a report on an annotated task as lines for a terminal: about one screen."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.report import task_sentences as sentences
from opsin.report.task_report import TaskReport
from opsin.report.task_tables import is_number_column
from opsin.report.text_layout import WIDTH, shortened, wrapped
from opsin.tasks.section import Section, Table

MAX_TABLE_ROWS = 12
"""Rows of the table shown, the first ones."""

MAX_LISTED_EXAMPLES = 5
GAP = "  "


def text(report: TaskReport) -> list[str]:
    """Return headline, the first table, findings, images to look at and next steps, in lines of at most `WIDTH`."""
    lines = [*wrapped(sentences.headline(report)), *wrapped(sentences.evidence(report)), ""]
    table = next((section.table for section in report.sections if section.table), None)
    lines += [*_table(table), ""] if table else []
    for finding in (sentences.training(report), sentences.learning_curve(report), sentences.robustness(report)):
        lines += wrapped(finding, "· ", "  ")
    lines += _examples(report)
    lines += ["", "What to do next:"]
    for number, step in enumerate(sentences.next_steps(report), start=1):
        lines += wrapped(step, f"{number}. ", "   ")
    return lines


def _table(table: Table) -> Iterator[str]:
    """Yield the first rows; columns for which there is no space are left out."""
    rows = [table.columns, *table.rows[:MAX_TABLE_ROWS]]
    columns = [[shortened(row[number]) for row in rows] for number in range(len(table.columns))]
    padded, width = [], -len(GAP)
    for number, cells in enumerate(columns):
        size = max(map(len, cells))
        width += len(GAP) + size
        if width <= WIDTH:
            is_number = is_number_column(table, number)
            padded.append([cell.rjust(size) if is_number else cell.ljust(size) for cell in cells])
    yield from (GAP.join(cells).rstrip() for cells in zip(*padded, strict=True))
    if len(table.rows) > MAX_TABLE_ROWS:
        yield f"… and {len(table.rows) - MAX_TABLE_ROWS:,} more"


def _examples(report: TaskReport) -> Iterator[str]:
    """Yield the names of the first images that the task shows, and why it does."""
    section: Section | None = next((section for section in report.sections if section.examples), None)
    if section is None:
        return
    yield from wrapped(f"{section.heading}:", "· ", "  ")
    for example in section.examples[:MAX_LISTED_EXAMPLES]:
        yield from wrapped(f"{report.name_of(example.image)}: {example.caption}", "    ", "      ")
