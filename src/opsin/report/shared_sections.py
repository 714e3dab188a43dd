"""Sections of a page that the reports of all tasks have: training curves, data and speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from opsin.base.formatting import listed
from opsin.data.ingest.receipt import Receipt
from opsin.report.common import Report
from opsin.report.history import EpochRecord
from opsin.report.html import PageSection, facts, paragraph
from opsin.tasks.score import R2, readable
from opsin.viz.charts import Series, line_chart

MAX_PROBLEMS = 200
"""Unusable files, and unusable annotations, that are listed."""

MAX_COUNTED = 12
"""Classes whose annotations are counted."""


def training_section(report: Report, text: str) -> PageSection:
    """Return the curves of the training run, with `text` above them."""
    history = report.history
    if len(history) < 2:
        return PageSection("training", "Training curves", "")
    ends = [float(n + 1) for n in range(len(history) - 1) if history[n].stage != history[n + 1].stage]
    stages = list(dict.fromkeys(epoch.stage for epoch in history))
    note = f"Dotted lines separate the stages: {', '.join(stages)}." if ends else ""
    charts = f'<div class="charts">{_metric_chart(history, ends)}{_loss_chart(history, ends)}</div>'
    return PageSection("training", "Training curves", paragraph(text) + charts + paragraph(note, "note"))


def _metric_chart(history: Sequence[EpochRecord], ends: Sequence[float]) -> str:
    name = history[0].metric
    in_training = [epoch.accuracy for epoch in history if epoch.accuracy is not None]
    held_out = [epoch.held_out_value for epoch in history]
    return _chart(readable(name), in_training, held_out, name != R2, ends)


def _loss_chart(history: Sequence[EpochRecord], ends: Sequence[float]) -> str:
    """Draw the loss; held-out losses only of classifiers, as those of other tasks may be another quantity."""
    is_comparable = history[0].accuracy is not None
    held_out = [epoch.held_out_loss for epoch in history if epoch.held_out_loss is not None and is_comparable]
    return _chart("loss", [epoch.loss for epoch in history], held_out, False, ends)


def _chart(
    quantity: str, training: Sequence[float], held_out: Sequence[float], is_share: bool, ends: Sequence[float]
) -> str:
    """Draw values by epoch; lines without a value for each epoch are left out."""
    count = max(len(training), len(held_out))
    lines = [("training", "first", training), ("held out", "second", held_out)]
    series = [
        Series(name, style, tuple((float(number), value) for number, value in enumerate(values, start=1)))
        for name, style, values in lines
        if len(values) == count
    ]
    keys = "".join(f'<i class="key {each.style}"></i>{each.name}' for each in series)
    chart = line_chart(series, "epoch", quantity, is_share, ends)
    return f"<figure>{chart}<figcaption>{escape(quantity)}:{keys}</figcaption></figure>"


def data_section(report: Report) -> PageSection:
    """Return what was found when the data was read."""
    receipt = report.receipt
    content = "" if receipt is None else facts(_findings(receipt)) + _problems(receipt)
    return PageSection("data", "Data", content)


def _findings(receipt: Receipt) -> Iterator[tuple[str, str]]:
    yield "source", receipt.source
    yield "usable images", f"{receipt.images:,}"
    yield "splits", receipt.split_note
    if receipt.form:
        yield "annotations", receipt.form
    if receipt.annotations:
        counts = [f"{name} {count:,}" for name, count in receipt.annotations.items()]
        yield "of each class", listed(counts, MAX_COUNTED)
    if receipt.problems:
        yield "left out", f"{len(receipt.problems):,} files that cannot be used"
    if receipt.annotation_problems:
        yield "annotations left out", f"{len(receipt.annotation_problems):,} that cannot be used"
    if receipt.duplicates:
        yield "duplicates", f"{len(receipt.duplicates):,} groups of identical or nearly identical images"
    if receipt.leaks:
        yield "leaks", f"{len(receipt.leaks):,} of these groups are in several splits"
    if receipt.conflicts:
        yield "conflicts", f"{len(receipt.conflicts):,} of these groups have several labels"
    if receipt.imbalance > 1:
        yield "imbalance", f"the largest class has {receipt.imbalance:.1f} times the images of the smallest"
    yield from (("note", note) for note in receipt.notes)


def _problems(receipt: Receipt) -> str:
    """Return the files and the annotations that were left out, one click away."""
    files = [(each.name, each.reason) for each in receipt.problems]
    annotations = [(each.name, each.reason) for each in receipt.annotation_problems]
    text = ""
    for kind, problems in (("Files", files), ("Annotations", annotations)):
        rows = "".join(
            f"<li><code>{escape(name)}</code> {escape(reason)}</li>" for name, reason in problems[:MAX_PROBLEMS]
        )
        if rows:
            summary = f"<summary>{kind} that were left out</summary>"
            text += f'<details class="screen">{summary}<ul>{rows}</ul></details>'
    return text


def speed_section(report: Report) -> PageSection:
    """Return speed, size and memory."""
    speed = report.speed
    rows = [
        ("one image", f"{1000 * speed.latency:.3g} ms"),
        ("throughput", f"{speed.throughput:,.0f} images/s"),
        ("parameters", f"{speed.parameters:,} ({4 * speed.parameters / 1e6:,.1f} MB)"),
        ("MACs per image", f"{speed.macs:,}"),
        *([("memory for one image", f"{speed.memory / 1e6:,.1f} MB")] if speed.memory else []),
        *([("peak memory of this process", f"{speed.peak / 1e6:,.0f} MB")] if speed.peak else []),
        ("measured on", f"{speed.machine}, {speed.cores} cores"),
    ]
    return PageSection("speed", "Speed and memory", facts(rows))
