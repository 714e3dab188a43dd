"""The page of a report on an annotated task: its sections as the task gives them, and those that every task has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from opsin.report import task_sentences as sentences
from opsin.report.configuration import configuration, settings
from opsin.report.html import PageHead, PageSection, document, facts, paragraph
from opsin.report.image_grid import image
from opsin.report.metric_robustness import MetricRobustness
from opsin.report.more_images import HEADING, curve_section
from opsin.report.shared_sections import data_section, speed_section, training_section
from opsin.report.task_report import TaskReport
from opsin.report.task_tables import is_number_column
from opsin.tasks.section import Example, Section, Table

FIRST_EXAMPLES = 3
"""Examples of a section shown at once; the others are one click away."""


def page(report: TaskReport) -> str:
    """Return the HTML file."""
    head = PageHead(
        f"{report.model} ({report.network}, {report.subject}) on {report.data}",
        sentences.headline(report),
        sentences.evidence(report),
        tuple(sentences.next_steps(report)),
    )
    return document(report, head, _sections(report), "Images are shown as the network sees them.")


def _sections(report: TaskReport) -> Iterator[PageSection]:
    for number, section in enumerate(report.sections, start=1):
        yield PageSection(f"{number}-{_key(section.heading)}", section.heading, _task_section(report, section))
    yield PageSection("typical", "Images chosen at random", _typical(report))
    yield training_section(report, sentences.training(report))
    curve = curve_section(report.curve, report.is_constant) if report.trained_here else ""
    yield PageSection("learning-curve", HEADING, curve)
    yield PageSection("robustness", "Robustness", _robustness(report))
    yield data_section(report)
    yield speed_section(report)
    yield PageSection("configuration", "Configuration", configuration(report) + _calibration(report))


def _key(heading: str) -> str:
    return re.sub("[^a-z0-9]+", "-", heading.lower()).strip("-")


def _task_section(report: TaskReport, section: Section) -> str:
    """Return a section that the task describes."""
    text = "".join(map(paragraph, section.paragraphs))
    table = _table(section.table) if section.table else ""
    figures = "".join(f"<figure>{figure}</figure>" for figure in section.figures)
    charts = f'<div class="charts">{figures}</div>' if figures else ""
    return text + table + charts + _examples(report, section.examples)


def _table(table: Table) -> str:
    styles = [
        ' class="number"' if is_number_column(table, number) else ' class="name"'
        for number in range(len(table.columns))
    ]
    head = "".join(f"<th{style}>{escape(name)}</th>" for name, style in zip(table.columns, styles, strict=True))
    rows = "".join(f"<tr>{_cells(row, styles)}</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cells(row: Iterable[str], styles: Sequence[str]) -> str:
    return "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(row, styles, strict=True))


def _examples(report: TaskReport, examples: Sequence[Example]) -> str:
    """Return images with truth and answer side by side, the first ones at once."""
    drawn = [example for example in examples if example.image in report.drawn]
    first, remainder = drawn[:FIRST_EXAMPLES], drawn[FIRST_EXAMPLES:]
    text = _pairs(report, first)
    if remainder:
        noun = "image" if len(remainder) == 1 else "images"
        summary = f"<summary>{len(remainder)} more {noun}</summary>"
        text += f'<details class="screen">{summary}{_pairs(report, remainder)}</details>'
    return text


def _pairs(report: TaskReport, examples: Sequence[Example]) -> str:
    items = "".join(f"<li>{_pair(report, example)}</li>" for example in examples)
    return f'<ul class="pairs">{items}</ul>' if items else ""


def _pair(report: TaskReport, example: Example) -> str:
    drawn = report.drawn[example.image]
    drawings = "".join(
        f"<figure>{image(report, key, f'{what}: {text}')}<figcaption>{what}</figcaption></figure>"
        for what, key, text in (("truth", drawn.truth, drawn.truth_text), ("answer", drawn.answer, drawn.answer_text))
    )
    caption = f"{escape(example.caption)} " if example.caption else ""
    name = f'<span class="file">{escape(drawn.name)}</span>{_link(report, example.image)}'
    return f'<div class="pair">{drawings}</div><p>{caption}{name}</p>'


def _link(report: TaskReport, image: int) -> str:
    """Return a link to the explanation of an image, if there is one."""
    if not report.see or image not in report.explained:
        return ""
    return f' <a href="{escape(report.see)}#explanations?image={report.explained.index(image)}">why?</a>'


def _typical(report: TaskReport) -> str:
    examples = [Example(number, "") for number in report.typical]
    return _examples(report, examples)


def _robustness(report: TaskReport) -> str:
    measured = report.robustness
    if measured is None:
        return ""
    keys, rows = iter(report.corrupted_examples), []
    for kind, severities in measured.kinds:
        cells = "".join(_corruption(report, measured, next(keys, ""), *severity) for severity in severities)
        rows.append(f'<tr><td class="name">{escape(kind)}</td>{cells}</tr>')
    head = "<tr><th></th><th>mild</th><th>medium</th><th>strong</th></tr>"
    table = f'<div class="wide"><table class="strip"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    return paragraph(sentences.robustness(report)) + table


def _corruption(report: TaskReport, measured: MetricRobustness, key: str, severity: str, value: float) -> str:
    """Return a cell: an image corrupted this much, and the metric on such images."""
    drop = ' class="drop"' if sentences.is_drop(measured, value) else ""
    text = escape(sentences.metric_value(measured.metric, value))
    return f'<td{drop}>{image(report, key)}<b>{text}</b> <span class="soft">{escape(severity)}</span></td>'


def _calibration(report: TaskReport) -> str:
    """Return the numbers that were fitted to images that the network was not trained on."""
    if report.calibration is None:
        return paragraph(
            "It is not calibrated: too few images were set aside for that, or the task has nothing to calibrate.",
            "note",
        )
    rows = settings({"calibration": report.calibration})
    return facts(rows) + paragraph("The calibration was fitted to images that the network was not trained on.", "note")
