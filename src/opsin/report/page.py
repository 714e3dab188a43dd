"""The report as one HTML file: no network, no framework, no script. Every name from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from opsin import __version__
from opsin.report import charts, sentences
from opsin.report.configuration import configuration
from opsin.report.examples import Example
from opsin.report.images import image, images
from opsin.report.matrix import matrix
from opsin.report.model_report import ModelReport
from opsin.report.phrases import SPACE, between, percent
from opsin.report.sentences import DROP
from opsin.report.statistics import Share

FIRST = 16
"""Suspects shown at once; the others are one click away."""


def page(account: ModelReport) -> str:
    """The whole file."""
    style = (files("opsin.report") / "report.css").read_text(encoding="utf-8")
    title = f"{account.model}: {sentences.verdict(account)}"
    parts = [part for part in _sections(account) if part[2]]
    links = "".join(f'<a href="#{key}">{escape(heading)}</a>' for key, heading, _ in parts)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title><style>{style}</style></head>",
            "<body>",
            *_head(account),
            f"<nav>{links}</nav>",
            *(_section(*part) for part in parts),
            f"<footer>Made by Opsin {__version__} in {account.seconds:.0f} s. Bounds are 95{SPACE}% intervals "
            "(Wilson). Images are shown as the network sees them.</footer>",
            "</body></html>",
            "",
        ]
    )


def _head(account: ModelReport) -> Iterator[str]:
    about = f"{account.model} ({account.network}, {len(account.evaluation.classes)} classes) on {account.data}"
    yield f'<header><p class="of">{escape(about)}</p>'
    yield f"<h1>{escape(sentences.verdict(account))}</h1>"
    yield f'<p class="lead">{escape(sentences.certainty(account))} {escape(sentences.confusions(account))}</p></header>'
    steps = "".join(f"<li>{escape(step)}</li>" for step in sentences.next_steps(account))
    yield f'<div class="next"><h2>What to do next</h2><ol>{steps}</ol></div>'


def _section(key: str, heading: str, content: str) -> str:
    return f'<section id="{key}"><h2>{escape(heading)}</h2>\n{content}</section>'


def _sections(account: ModelReport) -> Iterator[tuple[str, str, str]]:
    """Key, heading and content of each section; those without content are left out."""
    yield "classes", "Class by class", _classes(account)
    yield "confusions", "What it takes for what", matrix(account)
    yield "mistakes", "Most confident mistakes", _mistakes(account)
    yield "suspects", "Labels to look at", _suspects(account)
    yield "trust", "Can its probabilities be believed?", _trust(account)
    yield "training", "How the training went", _training(account)
    yield "more", "Would more images help?", _more(account)
    yield "robustness", "Worse images", _robustness(account)
    yield "data", "The data", _data(account)
    yield "speed", "Speed and memory", _speed(account)
    yield "configuration", "How it was made", configuration(account)


def _paragraph(text: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f"<p{kind}>{escape(text)}</p>" if text else ""


def _classes(account: ModelReport) -> str:
    rows = []
    taken: dict[str, list[str]] = {}
    for label, answer, count in account.evaluation.mistakes():
        taken.setdefault(label, []).append(f"{answer} ({count:,})")
    for each in account.classes:
        cells = [
            f'<td class="name">{escape(each.name)}</td><td class="number">{each.recall.total:,}</td>',
            *(
                f'<td class="number">{"–" if share.value is None else percent(share.value)}</td>'
                f'<td class="roomy">{charts.bounds(share)}</td>'
                for share in (each.recall, each.precision)
            ),
            f'<td class="number roomy">{each.f1:.2f}</td>',
            f'<td class="name">{escape(", ".join(taken.get(each.name, [])[:2]))}</td>',
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="wide"><table><thead><tr><th>class</th><th class="number">images</th>'
        '<th class="number">found</th><th class="roomy">(recall)</th><th class="number">right when named</th>'
        '<th class="roomy">(precision)</th><th class="number roomy">F1</th><th>taken for</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        + _paragraph("The lines show how far each figure can be off with so few images of a class.", "note")
    )


def _mistakes(account: ModelReport) -> str:
    if not account.mistakes:
        return ""
    intro = "Here it was wrong and sure of it: hard images, strange ones, or wrong labels."
    return _paragraph(intro) + images(account, account.mistakes, _mistake)


def _mistake(seen: Example) -> str:
    return f"<b>{escape(seen.answer)}</b> {percent(seen.probability)}<br>labelled {escape(seen.label)}"


def _suspect(seen: Example) -> str:
    return f"labelled <b>{escape(seen.label)}</b><br>{escape(seen.answer)}? {percent(seen.probability)}"


def _suspects(account: ModelReport) -> str:
    found = account.suspects
    if found is None:
        return ""
    shown = [seen for seen in found.ranked if seen.thumbnail]
    text = _paragraph(sentences.doubts(account)) + images(account, shown[:FIRST], _suspect)
    if shown[FIRST:]:
        rest = images(account, shown[FIRST:], _suspect)
        text += f'<details class="screen"><summary>{len(shown) - FIRST} more images</summary>{rest}</details>'
    names = [seen for seen in found.ranked if not seen.thumbnail]
    if names:
        rows = "".join(
            f"<li><code>{escape(seen.name)}</code> labelled {escape(seen.label)}, perhaps {escape(seen.answer)} "
            f"({percent(seen.probability)})</li>"
            for seen in names
        )
        text += f'<details class="screen"><summary>{len(names):,} more by name</summary><ol>{rows}</ol></details>'
    how = (
        "Each image was judged by a model fitted without it (confident learning, Northcutt et al. 2021)."
        if account.trained_here
        else "The model's own opinion, which has not learnt from these labels."
    )
    return text + _paragraph(how, "note")


def _trust(account: ModelReport) -> str:
    found = account.reliability
    caption = (
        f"Each dot is the answers of one of {len(found.bins)} ranges of probability, larger for more of them, with its "
        f"bounds; on the dashed line, probabilities mean what they say. Expected calibration error "
        f"{found.error:.3f} ({15} bins of equal width)."
    )
    figure = f"<figure>{charts.reliability(found.bins)}<figcaption>{caption}</figcaption></figure>"
    text = _paragraph(sentences.trust(account)) + _paragraph(sentences.not_knowing(account))
    return f'{text}<div class="charts">{figure}</div>'


def _training(account: ModelReport) -> str:
    history = account.history
    if len(history) < 2:
        return ""
    ends = [float(n + 1) for n in range(len(history) - 1) if history[n].stage != history[n + 1].stage]
    numbers = [float(number) for number in range(1, len(history) + 1)]
    held_out_losses = [moment.held_out_loss for moment in history if moment.held_out_loss is not None]
    accuracies = (("first", [m.accuracy for m in history]), ("second", [m.held_out_accuracy for m in history]))
    losses = (("first", [m.loss for m in history]), ("second", held_out_losses))
    keys = '<i class="key first"></i>training<i class="key second"></i>held out'
    names = {"first": "training", "second": "held out"}
    figures = []
    for what, lines in (("accuracy", accuracies), ("loss", losses)):
        series = [
            charts.Series(names[style], style, tuple(zip(numbers, values, strict=True)))
            for style, values in lines
            if len(values) == len(numbers)
        ]
        drawn = charts.curves(series, "epoch", what, what == "accuracy", ends)
        figures.append(f"<figure>{drawn}<figcaption>{what}:{keys}</figcaption></figure>")
    stages = list(dict.fromkeys(moment.stage for moment in history))
    note = f"The dotted line parts the stages: {', '.join(stages)}." if ends else ""
    return (
        _paragraph(sentences.overfitting(account))
        + f'<div class="charts">{"".join(figures)}</div>'
        + _paragraph(note, "note")
    )


def _more(account: ModelReport) -> str:
    curve = account.learning_curve
    if curve is None:
        return ""
    whole = charts.Series("all classes", "first", tuple((float(p.images), p.accuracy) for p in curve.points))
    drawn = charts.curves([whole], "training images", "right", shares=True)
    rows = "".join(
        f'<tr><td class="name">{escape(curve.classes[n])}</td><td class="number">{curve.counts[n]:,}</td>'
        f'<td class="number">{percent(curve.points[1].recalls[n])}</td>'
        f'<td class="number">{percent(curve.points[-1].recalls[n])}</td></tr>'
        for n in curve.needy()[:8]
    )
    table = (
        '<div><table><thead><tr><th>needs more</th><th class="number">has</th><th class="number">found with half</th>'
        f'<th class="number">with all</th></tr></thead><tbody>{rows}</tbody></table></div>'
        if rows
        else ""
    )
    caption = "Held-out images right after fitting the last layer to parts of the training images."
    figure = f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"
    return _paragraph(sentences.more_images(account)) + f'<div class="charts">{figure}{table}</div>'


def _robustness(account: ModelReport) -> str:
    found = account.robustness
    if found is None:
        return ""
    clean, examples, rows = found.clean.value or 0.0, iter(account.example), []
    for each in found.kinds:
        cells = "".join(_spoilt(account, next(examples, ""), *strength, clean) for strength in each.strengths)
        rows.append(f'<tr><td class="name">{escape(each.kind)}</td>{cells}</tr>')
    heads = "<tr><th></th><th>a little</th><th>clearly</th><th>strongly</th></tr>"
    table = f'<div class="wide"><table class="strip"><thead>{heads}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    return _paragraph(sentences.fragility(account)) + table


def _spoilt(account: ModelReport, example: str, strength: str, share: Share, clean: float) -> str:
    """A cell: an image spoilt this much, and the share of such images that were right."""
    value = share.value or 0.0
    drop = ' class="drop"' if clean - value > DROP else ""
    return (
        f'<td{drop} title="{escape(between(share))}">{image(account, example)}<b>{percent(value)}</b> '
        f'<span class="soft">{escape(strength)}</span></td>'
    )


def _data(account: ModelReport) -> str:
    receipt = account.receipt
    if receipt is None:
        return ""
    facts = [("read from", receipt.source), ("usable images", f"{receipt.images:,}"), ("parts", receipt.split_note)]
    if receipt.problems:
        facts.append(("set aside", f"{len(receipt.problems):,} files that cannot be used"))
    if receipt.duplicates:
        facts.append(("duplicates", f"{len(receipt.duplicates):,} groups of images that are the same"))
    if receipt.leaks:
        facts.append(("leaks", f"{len(receipt.leaks):,} of these groups lie in several parts"))
    if receipt.conflicts:
        facts.append(("contradictions", f"{len(receipt.conflicts):,} of these groups have several labels"))
    if receipt.imbalance > 1:
        facts.append(("imbalance", f"the largest class has {receipt.imbalance:.1f} times the images of the smallest"))
    facts += [("note", note) for note in receipt.notes]
    text = facts_list(facts)
    if receipt.problems:
        rows = "".join(
            f"<li><code>{escape(each.name)}</code> {escape(each.reason)}</li>" for each in receipt.problems[:200]
        )
        text += f'<details class="screen"><summary>What was set aside</summary><ul>{rows}</ul></details>'
    return text


def facts_list(facts: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(a)}</dt><dd>{escape(b)}</dd>' for a, b in facts)}</dl>"


def _speed(account: ModelReport) -> str:
    speed = account.speed
    facts: Sequence[tuple[str, str]] = [
        ("one image", f"{1000 * speed.latency:.3g} ms"),
        ("many images", f"{speed.throughput:,.0f} a second"),
        ("parameters", f"{speed.parameters:,} ({4 * speed.parameters / 1e6:,.1f} MB)"),
        ("multiply-adds an image", f"{speed.macs:,}"),
        *([("memory for one image", f"{speed.memory / 1e6:,.1f} MB")] if speed.memory else []),
        *([("most memory of this process", f"{speed.peak / 1e6:,.0f} MB")] if speed.peak else []),
        ("measured on", f"{speed.machine}, {speed.cores} cores"),
    ]
    return facts_list(facts)
