"""The confusion matrix of a page: each cell opens the images in it."""

from __future__ import annotations

from html import escape

from opsin.report.examples import MAX_MATRIX_CLASSES
from opsin.report.image_grid import image_grid
from opsin.report.model_report import ModelReport
from opsin.report.phrases import percent

MAX_ROWS = 40
"""Rows of the list that replaces the matrix if there are too many classes."""


def confusion_matrix(report: ModelReport) -> str:
    """Return the matrix as HTML: a row for each label, a column for each answer; a list if there are too many."""
    if len(report.evaluation.classes) > MAX_MATRIX_CLASSES:
        return _list(report)
    classes, confusion = report.evaluation.classes, report.evaluation.confusion
    heads = "".join(f'<th title="{escape(name)}"><span>{escape(name)}</span></th>' for name in classes)
    rows, panels = [], []
    for i, label in enumerate(classes):
        total = max(1, int(confusion[i].sum()))
        cells = []
        for j, answer in enumerate(classes):
            count = int(confusion[i, j])
            cells.append(_cell(i, j, count, count / total, f"{label} classified as {answer}: {count:,} of {total:,}"))
            if count:
                panels.append(_panel(report, i, j, count))
        rows.append(f'<tr><th scope="row" title="{escape(label)}">{escape(label)}</th>{"".join(cells)}</tr>')
    return (
        '<p>Rows are labels, columns are answers; right answers are on the diagonal. <span class="screen">Click a '
        "number to see its images.</span></p>"
        f'<div class="wide"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{''.join(panels)}"
    )


def _cell(i: int, j: int, count: int, share: float, description: str) -> str:
    if not count:
        return "<td></td>"
    kind = "right" if i == j else "wrong"
    opacity = 0.12 + 0.6 * min(1.0, share if i == j else 2 * share)
    return (
        f'<td class="{kind}" style="--a:{opacity:.2f}"><button popovertarget="c-{i}-{j}" '
        f'title="{escape(description)}">{count:,}</button></td>'
    )


def _panel(report: ModelReport, i: int, j: int, count: int) -> str:
    """Return the images of a cell in a popover, which browsers open and close without a script."""
    label, answer = report.evaluation.classes[i], report.evaluation.classes[j]
    examples = report.confusion_examples.get((i, j), ())
    heading = f"{label}, classified correctly" if i == j else f"{label} classified as {answer}"
    note = f"; the {len(examples)} most confident are shown" if len(examples) < count else ""
    grid = image_grid(report, examples, lambda example: f"{escape(example.answer)} {percent(example.probability)}")
    return (
        f'<div popover id="c-{i}-{j}"><button class="close" popovertarget="c-{i}-{j}" popovertargetaction="hide" '
        f'aria-label="close">✕</button><h3>{escape(heading)}: {count:,}{note}</h3>{grid}</div>'
    )


def _list(report: ModelReport) -> str:
    rows = "".join(
        f'<tr><td class="name">{escape(label)}</td><td class="name">{escape(answer)}</td>'
        f'<td class="number">{count:,}</td></tr>'
        for label, answer, count in report.evaluation.confusions()[:MAX_ROWS]
    )
    if not rows:
        return ""
    return (
        '<div class="wide"><table><thead><tr><th>label</th><th>classified as</th><th class="number">images</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )
