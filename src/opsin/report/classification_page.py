"""The page of a report on a classifier. All external names are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from opsin.report import sentences
from opsin.report.configuration import configuration
from opsin.report.confusion_matrix import confusion_matrix
from opsin.report.examples import Example
from opsin.report.html import PageHead, PageSection, document, paragraph
from opsin.report.image_grid import image, image_grid
from opsin.report.model_report import ModelReport
from opsin.report.more_images import HEADING, figure
from opsin.report.phrases import interval, percent
from opsin.report.sentences import MIN_ROBUSTNESS_DROP
from opsin.report.shared_sections import data_section, speed_section, training_section
from opsin.report.statistics import BIN_COUNT, Bin, Share
from opsin.tasks.score import ACCURACY
from opsin.viz.charts import Dot, range_bar, share_chart

FIRST_LABEL_ISSUES = 16
"""Suspected label errors shown at once; the others are one click away."""

MAX_CLASSES_IN_NEED = 8


def page(report: ModelReport) -> str:
    """Return the HTML file."""
    head = PageHead(
        f"{report.model} ({report.network}, {len(report.evaluation.classes)} classes) on {report.data}",
        sentences.headline(report),
        f"{sentences.evidence(report)} {sentences.frequent_confusions(report)}",
        tuple(sentences.next_steps(report)),
    )
    note = "Ranges are 95% confidence intervals (Wilson). Images are shown as the network sees them."
    return document(report, head, _sections(report), note)


def _sections(report: ModelReport) -> Iterator[PageSection]:
    yield PageSection("classes", "Results by class", _classes(report))
    yield PageSection("confusions", "Confusion matrix", confusion_matrix(report))
    yield PageSection("mistakes", "Most confident mistakes", _mistakes(report))
    yield PageSection("label-issues", "Suspected label errors", _label_issues(report))
    yield PageSection("calibration", "Can its probabilities be trusted?", _calibration(report))
    yield training_section(report, sentences.training(report))
    yield PageSection("learning-curve", HEADING, _learning_curve(report))
    yield PageSection("robustness", "Robustness", _robustness(report))
    yield data_section(report)
    yield speed_section(report)
    yield PageSection("configuration", "Configuration", configuration(report))


def _classes(report: ModelReport) -> str:
    rows = []
    mistaken_for: dict[str, list[str]] = {}
    for label, answer, count in report.evaluation.confusions():
        mistaken_for.setdefault(label, []).append(f"{answer} ({count:,})")
    for each in report.classes:
        cells = [
            f'<td class="name">{escape(each.name)}</td><td class="number">{each.recall.total:,}</td>',
            *(
                f'<td class="number">{"–" if share.value is None else percent(share.value)}</td>'
                f'<td class="roomy">{_range(share)}</td>'
                for share in (each.recall, each.precision)
            ),
            f'<td class="number roomy">{each.f1:.2f}</td>',
            f'<td class="name">{escape(", ".join(mistaken_for.get(each.name, [])[:2]))}</td>',
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="wide"><table><thead><tr><th>class</th><th class="number">images</th>'
        '<th class="number">recall</th><th class="roomy"></th><th class="number">precision</th>'
        '<th class="roomy"></th><th class="number roomy">F1</th><th>mistaken for</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        + paragraph(
            "Recall is the share of a class's images that are recognised; precision is the share of the answers naming "
            "the class that are right. The lines show how far off each figure may be with so few images.",
            "note",
        )
    )


def _range(share: Share) -> str:
    """Return a share with its bounds as a small chart; nothing if there are no images."""
    if share.value is None:
        return ""
    bounds = f"between {share.low:.0%} and {share.high:.0%}"
    return range_bar(share.value, (share.low, share.high), bounds, f"{share.count:,} of {share.total:,}; {bounds}")


def _mistakes(report: ModelReport) -> str:
    if not report.mistakes:
        return ""
    text = "Wrong answers with a high probability: difficult images, unusual ones, or wrong labels."
    if any(example.html for example in report.mistakes):
        text += (
            " Marked in orange is what speaks for the model's answer, and in blue what speaks against it: each part "
        )
        text += "was hidden in turn."
    explained = report.mistakes[: len(report.explained)] if report.see else ()
    links = {example: f"{report.see}#explanations?image={number}" for number, example in enumerate(explained)}

    def caption(example: Example) -> str:
        link = f'<br><a href="{escape(links[example])}">why?</a>' if example in links else ""
        return _mistake(example) + link

    return paragraph(text) + image_grid(report, report.mistakes, caption)


def _mistake(example: Example) -> str:
    return f"<b>{escape(example.answer)}</b> {percent(example.probability)}<br>labelled {escape(example.label)}"


def _label_issue(example: Example) -> str:
    return f"labelled <b>{escape(example.label)}</b><br>{escape(example.answer)}? {percent(example.probability)}"


def _label_issues(report: ModelReport) -> str:
    issues = report.label_issues
    if issues is None:
        return ""
    examples = [example for example in issues.examples if example.thumbnail]
    first, remainder = examples[:FIRST_LABEL_ISSUES], examples[FIRST_LABEL_ISSUES:]
    text = paragraph(sentences.label_issues(report)) + image_grid(report, first, _label_issue)
    if remainder:
        grid = image_grid(report, remainder, _label_issue)
        text += f'<details class="screen"><summary>{len(remainder)} more images</summary>{grid}</details>'
    listed = [example for example in issues.examples if not example.thumbnail]
    if listed:
        rows = "".join(
            f"<li><code>{escape(example.name)}</code> labelled {escape(example.label)}, perhaps "
            f"{escape(example.answer)} ({percent(example.probability)})</li>"
            for example in listed
        )
        text += f'<details class="screen"><summary>{len(listed):,} more by name</summary><ol>{rows}</ol></details>'
    method = (
        "Each image was judged by a model fitted without it (confident learning, Northcutt et al. 2021)."
        if report.trained_here
        else "Judged by the model itself, which was not trained on these labels."
    )
    return text + paragraph(method, "note")


def _calibration(report: ModelReport) -> str:
    reliability = report.reliability
    caption = (
        f"Each dot stands for the answers in one of {len(reliability.bins)} ranges of probability, with its interval; "
        "larger dots stand for more answers. On the dashed line, probabilities equal the share of right answers. "
        f"Expected calibration error: {reliability.error:.3f} ({BIN_COUNT} bins of equal width)."
    )
    figure = f"<figure>{_reliability_chart(reliability.bins)}<figcaption>{caption}</figcaption></figure>"
    text = paragraph(sentences.calibration(report)) + paragraph(sentences.abstention(report))
    return f'{text}<div class="charts">{figure}</div>'


def _reliability_chart(bins: Iterable[Bin]) -> str:
    """Draw the share of right answers over their probability, with bounds."""
    rows = list(bins)
    max_count = max((row.right.total for row in rows), default=1)
    dots = [
        Dot(
            row.confidence,
            row.right.value or 0.0,
            (row.right.low, row.right.high),
            3 + 5 * (row.right.total / max_count) ** 0.5,
            f"probability about {row.confidence:.0%}: {row.right.count:,} of {row.right.total:,} answers right",
        )
        for row in rows
    ]
    return share_chart(dots, "probability of the answer", "right", "Share of right answers over their probability")


def _learning_curve(report: ModelReport) -> str:
    curve = report.learning_curve
    if curve is None:
        return ""
    rows = "".join(
        f'<tr><td class="name">{escape(curve.classes[n])}</td><td class="number">{curve.counts[n]:,}</td>'
        f'<td class="number">{percent(curve.points[1].recalls[n])}</td>'
        f'<td class="number">{percent(curve.points[-1].recalls[n])}</td></tr>'
        for n in curve.classes_in_need()[:MAX_CLASSES_IN_NEED]
    )
    table = (
        '<div><table><thead><tr><th>needs more images</th><th class="number">has</th>'
        '<th class="number">recall with half</th><th class="number">with all</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        if rows
        else ""
    )
    caption = "Accuracy on held-out images after fitting the last layer to parts of the training images."
    chart = figure([(point.images, point.accuracy) for point in curve.points], ACCURACY, caption)
    return paragraph(sentences.learning_curve(report)) + f'<div class="charts">{chart}{table}</div>'


def _robustness(report: ModelReport) -> str:
    robustness = report.robustness
    if robustness is None:
        return ""
    clean, examples, rows = robustness.clean.value or 0.0, iter(report.corrupted_examples), []
    for each in robustness.kinds:
        cells = "".join(_corruption(report, next(examples, ""), *severity, clean) for severity in each.severities)
        rows.append(f'<tr><td class="name">{escape(each.kind)}</td>{cells}</tr>')
    heads = "<tr><th></th><th>mild</th><th>medium</th><th>strong</th></tr>"
    table = f'<div class="wide"><table class="strip"><thead>{heads}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    return paragraph(sentences.robustness(report)) + table


def _corruption(report: ModelReport, example: str, severity: str, share: Share, clean: float) -> str:
    """Return a cell: an image corrupted this much, and the accuracy on such images."""
    value = share.value or 0.0
    drop = ' class="drop"' if clean - value > MIN_ROBUSTNESS_DROP else ""
    return (
        f'<td{drop} title="{escape(interval(share))}">{image(report, example)}<b>{percent(value)}</b> '
        f'<span class="soft">{escape(severity)}</span></td>'
    )
