"""The core of a report as lines for a terminal: a screenful."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from opsin.report import sentences
from opsin.report.model_report import ModelReport
from opsin.report.phrases import percent
from opsin.report.statistics import ClassFigures, Share

WIDTH = 96
CLASSES = 12
"""Of more classes only the worst are shown, so many of them."""
SUSPECTS = 5
"""So many doubtful labels are named."""
NAME = 24
"""Characters of a class's name."""


def text(account: ModelReport) -> list[str]:
    """Verdict, classes, confusions, and what to do; lines of at most `WIDTH` characters, but for long names."""
    lines = [
        sentences.verdict(account),
        *_wrapped(f"{sentences.certainty(account)} {sentences.confusions(account)}"),
        "",
    ]
    lines += _classes(account)
    told = (
        sentences.trust(account),
        sentences.not_knowing(account),
        sentences.overfitting(account),
        sentences.more_images(account),
        sentences.fragility(account),
        sentences.doubts(account),
    )
    for each in told:
        if each:
            lines += _wrapped(each, "· ", "  ")
    lines += _suspects(account)
    steps = list(sentences.next_steps(account))
    lines += ["", "What to do next:"]
    for number, step in enumerate(steps, start=1):
        lines += _wrapped(step, f"{number}. ", "   ")
    return lines


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _classes(account: ModelReport) -> Iterator[str]:
    """A table; classes that did worst come first where there are too many for all."""
    rows = [each for each in account.classes if each.recall.total or each.precision.total]
    shown = rows
    if len(rows) > CLASSES:
        shown = sorted(rows, key=lambda each: each.f1)[:CLASSES]
    width = max([len("class"), *(min(NAME, len(each.name)) for each in shown)])
    yield f"{'class':<{width}}  images   found            right when named"
    for each in shown:
        yield f"{_short(each.name):<{width}}  {each.recall.total:>8,}   {_figures(each)}"
    if len(rows) > len(shown):
        yield f"… and {len(rows) - len(shown):,} classes that did better"
    yield ""


def _suspects(account: ModelReport) -> Iterator[str]:
    """The labels that are most likely wrong, by the images' names; the page has all of them."""
    found = account.suspects
    for seen in found.ranked[: min(found.doubtful, SUSPECTS)] if found else ():
        yield f"    {seen.name}: labelled {seen.label}, looks like {seen.answer} ({percent(seen.probability)})"


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def _figures(each: ClassFigures) -> str:
    return f"{_share(each.recall):<15}  {_share(each.precision)}".rstrip()


def _share(share: Share) -> str:
    """`87 % (62–96)`."""
    if share.value is None:
        return "–"
    return f"{percent(share.value):>6} ({100 * share.low:.0f}–{100 * share.high:.0f})"
