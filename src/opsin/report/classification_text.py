"""The core of a report on a classifier as lines for a terminal: about one screen."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.report import sentences
from opsin.report.model_report import ModelReport
from opsin.report.phrases import percent
from opsin.report.statistics import Share
from opsin.report.text_layout import MAX_NAME_LENGTH, shortened, wrapped

MAX_CLASSES = 12
"""The maximum number of classes shown; if there are more, those with the lowest F1 score."""
MAX_LABEL_ISSUES = 5


def text(report: ModelReport) -> list[str]:
    """Return headline, classes, findings and next steps, in lines of at most `WIDTH` characters."""
    lines = [
        sentences.headline(report),
        *wrapped(f"{sentences.evidence(report)} {sentences.frequent_confusions(report)}"),
        "",
        *_classes(report),
    ]
    findings = (
        sentences.calibration(report),
        sentences.abstention(report),
        sentences.training(report),
        sentences.learning_curve(report),
        sentences.robustness(report),
        sentences.label_issues(report),
    )
    for finding in findings:
        if finding:
            lines += wrapped(finding, "· ", "  ")
    lines += _label_issues(report)
    lines += ["", "What to do next:"]
    for number, step in enumerate(sentences.next_steps(report), start=1):
        lines += wrapped(step, f"{number}. ", "   ")
    return lines


def _classes(report: ModelReport) -> Iterator[str]:
    """Yield a table of the classes; if there are too many, those with the lowest F1 score."""
    rows = [each for each in report.classes if each.recall.total or each.precision.total]
    selection = rows if len(rows) <= MAX_CLASSES else sorted(rows, key=lambda each: each.f1)[:MAX_CLASSES]
    width = max([len("class"), *(min(MAX_NAME_LENGTH, len(each.name)) for each in selection)])
    yield f"{'class':<{width}}  images   recall           precision"
    for each in selection:
        figures = f"{_share(each.recall):<15}  {_share(each.precision)}".rstrip()
        yield f"{shortened(each.name):<{width}}  {each.recall.total:>8,}   {figures}"
    if len(rows) > len(selection):
        yield f"… and {len(rows) - len(selection):,} classes that did better"
    yield ""


def _label_issues(report: ModelReport) -> Iterator[str]:
    """Yield the names of the images whose labels are most likely wrong; the page lists all of them."""
    issues = report.label_issues
    for example in issues.examples[: min(issues.count, MAX_LABEL_ISSUES)] if issues else ():
        probability = percent(example.probability)
        yield f"    {example.name}: labelled {example.label}, looks like {example.answer} ({probability})"


def _share(share: Share) -> str:
    """Return `87% (62–96)`."""
    if share.value is None:
        return "–"
    return f"{percent(share.value):>6} ({100 * share.low:.0f}–{100 * share.high:.0f})"
