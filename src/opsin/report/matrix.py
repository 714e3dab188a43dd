"""The confusion matrix of a page: each cell opens the images that are in it."""

from __future__ import annotations

from html import escape

from opsin.report.examples import LARGEST
from opsin.report.images import images
from opsin.report.model_report import ModelReport
from opsin.report.phrases import percent

MOST = 40
"""Of more classes only the most frequent confusions are listed, so many of them."""


def matrix(account: ModelReport) -> str:
    """Rows are the labels, columns the answers; where there are too many classes, a list of confusions."""
    if len(account.evaluation.classes) > LARGEST:
        return _list(account)
    classes, confusion = account.evaluation.classes, account.evaluation.confusion
    heads = "".join(f'<th title="{escape(name)}"><span>{escape(name)}</span></th>' for name in classes)
    rows, panels = [], []
    for i, label in enumerate(classes):
        total = max(1, int(confusion[i].sum()))
        cells = []
        for j, answer in enumerate(classes):
            count = int(confusion[i, j])
            cells.append(_cell(i, j, count, count / total, f"{label} taken for {answer}: {count:,} of {total:,}"))
            if count:
                panels.append(_panel(account, i, j, count))
        rows.append(f'<tr><th scope="row" title="{escape(label)}">{escape(label)}</th>{"".join(cells)}</tr>')
    return (
        '<p>A row for each label, a column for each answer; the diagonal is right. <span class="screen">Click a number '
        "to see the images.</span></p>"
        f'<div class="wide"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{''.join(panels)}"
    )


def _cell(i: int, j: int, count: int, share: float, told: str) -> str:
    if not count:
        return "<td></td>"
    kind = "right" if i == j else "wrong"
    strength = 0.12 + 0.6 * min(1.0, share if i == j else 2 * share)
    return (
        f'<td class="{kind}" style="--a:{strength:.2f}"><button popovertarget="c-{i}-{j}" title="{escape(told)}">'
        f"{count:,}</button></td>"
    )


def _panel(account: ModelReport, i: int, j: int, count: int) -> str:
    """The images of a cell, in a box over the page that the browser opens and closes by itself."""
    label, answer = account.evaluation.classes[i], account.evaluation.classes[j]
    shown = account.cells.get((i, j), ())
    what = f"{label}, recognised" if i == j else f"{label} taken for {answer}"
    some = f", {len(shown)} of them, the surest first" if len(shown) < count else ""
    return (
        f'<div popover id="c-{i}-{j}"><button class="close" popovertarget="c-{i}-{j}" popovertargetaction="hide" '
        f'aria-label="close">✕</button><h3>{escape(what)}: {count:,}{some}</h3>'
        f"{images(account, shown, lambda seen: f'{escape(seen.answer)} {percent(seen.probability)}')}</div>"
    )


def _list(account: ModelReport) -> str:
    rows = "".join(
        f'<tr><td class="name">{escape(label)}</td><td class="name">{escape(answer)}</td>'
        f'<td class="number">{count:,}</td></tr>'
        for label, answer, count in account.evaluation.mistakes()[:MOST]
    )
    if not rows:
        return ""
    return (
        '<div class="wide"><table><thead><tr><th>label</th><th>taken for</th><th class="number">images</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )
