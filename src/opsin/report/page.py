"""The report as one HTML file without network access, frameworks or scripts. All external names are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files

from opsin import __version__
from opsin.report import sentences
from opsin.report.configuration import configuration
from opsin.report.confusion_matrix import confusion_matrix
from opsin.report.examples import Example
from opsin.report.image_grid import image, image_grid
from opsin.report.model_report import ModelReport
from opsin.report.phrases import interval, percent
from opsin.report.sentences import MIN_ROBUSTNESS_DROP
from opsin.report.statistics import BIN_COUNT, Bin, Share
from opsin.viz.charts import Dot, Series, line_chart, range_bar, share_chart

FIRST_LABEL_ISSUES = 16
"""Suspected label errors shown at once; the others are one click away."""

MAX_CLASSES_IN_NEED = 8
MAX_PROBLEMS = 200
"""Unusable files that are listed."""


def page(report: ModelReport) -> str:
    """Return the HTML file."""
    style = (files("opsin.report") / "report.css").read_text(encoding="utf-8")
    title = f"{report.model}: {sentences.headline(report)}"
    sections = [section for section in _sections(report) if section[2]]
    links = "".join(f'<a href="#{key}">{escape(heading)}</a>' for key, heading, _ in sections)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title><style>{style}</style></head>",
            "<body>",
            *_head(report),
            f"<nav>{links}</nav>",
            *(_section(*section) for section in sections),
            f"<footer>Made by Opsin {__version__} in {report.seconds:.0f} s. Ranges are 95% confidence intervals "
            "(Wilson). Images are shown as the network sees them.</footer>",
            "</body></html>",
            "",
        ]
    )


def _head(report: ModelReport) -> Iterator[str]:
    subject = f"{report.model} ({report.network}, {len(report.evaluation.classes)} classes) on {report.data}"
    yield f'<header><p class="of">{escape(subject)}</p>'
    yield f"<h1>{escape(sentences.headline(report))}</h1>"
    lead = f"{sentences.evidence(report)} {sentences.frequent_confusions(report)}"
    yield f'<p class="lead">{escape(lead)}</p></header>'
    steps = "".join(f"<li>{escape(step)}</li>" for step in sentences.next_steps(report))
    yield f'<div class="next"><h2>What to do next</h2><ol>{steps}</ol></div>'


def _section(key: str, heading: str, content: str) -> str:
    return f'<section id="{key}"><h2>{escape(heading)}</h2>\n{content}</section>'


def _sections(report: ModelReport) -> Iterator[tuple[str, str, str]]:
    """Yield key, heading and content of each section; sections without content are left out."""
    yield "classes", "Results by class", _classes(report)
    yield "confusions", "Confusion matrix", confusion_matrix(report)
    yield "mistakes", "Most confident mistakes", _mistakes(report)
    yield "label-issues", "Suspected label errors", _label_issues(report)
    yield "calibration", "Can its probabilities be trusted?", _calibration(report)
    yield "training", "Training curves", _training(report)
    yield "learning-curve", "Would more images help?", _learning_curve(report)
    yield "robustness", "Robustness", _robustness(report)
    yield "data", "Data", _data(report)
    yield "speed", "Speed and memory", _speed(report)
    yield "configuration", "Configuration", configuration(report)


def _paragraph(text: str, style: str = "") -> str:
    attribute = f' class="{style}"' if style else ""
    return f"<p{attribute}>{escape(text)}</p>" if text else ""


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
        + _paragraph(
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
    return _paragraph(text) + image_grid(report, report.mistakes, _mistake)


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
    text = _paragraph(sentences.label_issues(report)) + image_grid(report, first, _label_issue)
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
    return text + _paragraph(method, "note")


def _calibration(report: ModelReport) -> str:
    reliability = report.reliability
    caption = (
        f"Each dot stands for the answers in one of {len(reliability.bins)} ranges of probability, with its interval; "
        "larger dots stand for more answers. On the dashed line, probabilities equal the share of right answers. "
        f"Expected calibration error: {reliability.error:.3f} ({BIN_COUNT} bins of equal width)."
    )
    figure = f"<figure>{_reliability_chart(reliability.bins)}<figcaption>{caption}</figcaption></figure>"
    text = _paragraph(sentences.calibration(report)) + _paragraph(sentences.abstention(report))
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


def _training(report: ModelReport) -> str:
    history = report.history
    if len(history) < 2:
        return ""
    ends = [float(n + 1) for n in range(len(history) - 1) if history[n].stage != history[n + 1].stage]
    numbers = [float(number) for number in range(1, len(history) + 1)]
    held_out_losses = [epoch.held_out_loss for epoch in history if epoch.held_out_loss is not None]
    accuracies = (("first", [m.accuracy for m in history]), ("second", [m.held_out_accuracy for m in history]))
    losses = (("first", [m.loss for m in history]), ("second", held_out_losses))
    keys = '<i class="key first"></i>training<i class="key second"></i>held out'
    names = {"first": "training", "second": "held out"}
    figures = []
    for quantity, lines in (("accuracy", accuracies), ("loss", losses)):
        series = [
            Series(names[style], style, tuple(zip(numbers, values, strict=True)))
            for style, values in lines
            if len(values) == len(numbers)
        ]
        chart = line_chart(series, "epoch", quantity, quantity == "accuracy", ends)
        figures.append(f"<figure>{chart}<figcaption>{quantity}:{keys}</figcaption></figure>")
    stages = list(dict.fromkeys(epoch.stage for epoch in history))
    note = f"Dotted lines separate the stages: {', '.join(stages)}." if ends else ""
    charts = f'<div class="charts">{"".join(figures)}</div>'
    return _paragraph(sentences.training(report)) + charts + _paragraph(note, "note")


def _learning_curve(report: ModelReport) -> str:
    curve = report.learning_curve
    if curve is None:
        return ""
    series = Series("all classes", "first", tuple((float(p.images), p.accuracy) for p in curve.points))
    chart = line_chart([series], "training images", "accuracy", is_share=True)
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
    figure = f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"
    return _paragraph(sentences.learning_curve(report)) + f'<div class="charts">{figure}{table}</div>'


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
    return _paragraph(sentences.robustness(report)) + table


def _corruption(report: ModelReport, example: str, severity: str, share: Share, clean: float) -> str:
    """Return a cell: an image corrupted this much, and the accuracy on such images."""
    value = share.value or 0.0
    drop = ' class="drop"' if clean - value > MIN_ROBUSTNESS_DROP else ""
    return (
        f'<td{drop} title="{escape(interval(share))}">{image(report, example)}<b>{percent(value)}</b> '
        f'<span class="soft">{escape(severity)}</span></td>'
    )


def _data(report: ModelReport) -> str:
    receipt = report.receipt
    if receipt is None:
        return ""
    facts = [("source", receipt.source), ("usable images", f"{receipt.images:,}"), ("splits", receipt.split_note)]
    if receipt.problems:
        facts.append(("left out", f"{len(receipt.problems):,} files that cannot be used"))
    if receipt.duplicates:
        facts.append(("duplicates", f"{len(receipt.duplicates):,} groups of identical or nearly identical images"))
    if receipt.leaks:
        facts.append(("leaks", f"{len(receipt.leaks):,} of these groups are in several splits"))
    if receipt.conflicts:
        facts.append(("conflicts", f"{len(receipt.conflicts):,} of these groups have several labels"))
    if receipt.imbalance > 1:
        facts.append(("imbalance", f"the largest class has {receipt.imbalance:.1f} times the images of the smallest"))
    facts += [("note", note) for note in receipt.notes]
    text = _facts(facts)
    if receipt.problems:
        problems = receipt.problems[:MAX_PROBLEMS]
        rows = "".join(f"<li><code>{escape(each.name)}</code> {escape(each.reason)}</li>" for each in problems)
        text += f'<details class="screen"><summary>Files that were left out</summary><ul>{rows}</ul></details>'
    return text


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(a)}</dt><dd>{escape(b)}</dd>' for a, b in facts)}</dl>"


def _speed(report: ModelReport) -> str:
    speed = report.speed
    facts = [
        ("one image", f"{1000 * speed.latency:.3g} ms"),
        ("throughput", f"{speed.throughput:,.0f} images/s"),
        ("parameters", f"{speed.parameters:,} ({4 * speed.parameters / 1e6:,.1f} MB)"),
        ("MACs per image", f"{speed.macs:,}"),
        *([("memory for one image", f"{speed.memory / 1e6:,.1f} MB")] if speed.memory else []),
        *([("peak memory of this process", f"{speed.peak / 1e6:,.0f} MB")] if speed.peak else []),
        ("measured on", f"{speed.machine}, {speed.cores} cores"),
    ]
    return _facts(facts)
