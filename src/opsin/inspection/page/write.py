"""From a subject to the page: the data of every view, the arrays, and the file around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opsin import __version__
from opsin.base.errors import UsageError
from opsin.base.formatting import exact_size
from opsin.explain.stages import Stage
from opsin.inspection.page import assets
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.page.document import Section, document, json_text
from opsin.inspection.subject import Subject
from opsin.inspection.views.registry import VIEWS
from opsin.inspection.views.view import View
from opsin.ir import show
from opsin.report.thumbnails import TINY_SIDE, thumbnail
from opsin.viz import diagram_svg

MAX_BYTES = 10_000_000
"""A page is never larger."""


@dataclass(frozen=True)
class Page:
    """The HTML file, and the data of its views by name."""

    html: str
    views: dict[str, dict[str, Any]]


def make_page(subject: Subject, views: Sequence[View] = VIEWS) -> Page:
    """Return the page about `subject`. A view without data is left out."""
    arrays, data, shown = Arrays(), dict[str, dict[str, Any]](), list[View]()
    for view in views:
        view_data = view.data(subject, arrays)
        if view_data is not None:
            data[view.name] = view_data
            shown.append(view)
    subject.progress("page")
    names = [view.name for view in shown]
    # The data of the views are compressed with the arrays: their text can be larger than the numbers.
    index = json_text({"views": data, "arrays": arrays.entries}).encode("utf-8")
    content = _subject_data(subject) | {
        "views": dict.fromkeys(names), "index": arrays.size, "leftOut": _left_out(data), "version": __version__,
    }  # fmt: skip
    sections = [Section(view.name, view.title, view.markup(subject)) for view in shown]
    folders = [assets.view_folder(name) for name in names]
    script, style = assets.script(folders), assets.style(folders, f".architecture {{ {diagram_svg.style()} }}")
    html = document(title(subject), lead(subject), sections, content, arrays.encoded(index), script, style)
    if (size := len(html.encode("utf-8"))) > MAX_BYTES:
        raise UsageError(
            f"the page would take {exact_size(size)}, more than {exact_size(MAX_BYTES)}; show fewer images, or "
            "leave out data or replay"
        )
    return Page(html, data)


def title(subject: Subject) -> str:
    """Return "lenet5 sees seven.png: 7 (99.8%)", or what it sees in several images."""
    network = subject.model.network
    if len(subject.images) == 1:
        image = subject.images[0]
        return f"{network} sees {image.name}: {image.summary}"
    return f"{network} sees {len(subject.images)} images"


def lead(subject: Subject) -> str:
    """Return what the page shows, and how its numbers differ from those of a prediction."""
    model, preprocessing = subject.model, subject.model.preprocessing
    parts = [
        f"The network takes {show(preprocessing.input_shape)} values and answers with {model.task.subject()}.",
        "Every number here is the engine's own float32: rounded in the text, and complete when you point at it.",
    ]
    if conversion := model.record.get("onnx", {}).get("outputs"):
        parts.append(conversion)
    if not any(preprocessing.mean):
        parts.append(
            "The model file names no mean of its inputs, so they are not normalized. If the network was trained with "
            "normalized inputs, its answers are wrong."
        )
    if temperature := getattr(model.calibration, "temperature", None):
        parts.append(
            f"The probability of an answer is calibrated with the temperature {temperature:.2f}; the softmax inside "
            "the network is not."
        )
    if model.tta:
        parts.append("Answers are means over the image and its mirror image; this page shows the image itself.")
    if preprocessing.frames > 1:
        parts.append(f"It compares {preprocessing.frames} frames; the first one counts as standing still.")
    return " ".join(parts)


def _subject_data(subject: Subject) -> dict[str, Any]:
    return {
        "network": subject.model.network,
        "labels": list(subject.model.labels),
        "images": [
            {
                "name": image.name, "label": image.label, "answer": image.summary,
                "thumbnail": thumbnail(subject.shown_image(number)), "tiny": max(image.pixels.shape[1:]) <= TINY_SIDE,
            }
            for number, image in enumerate(subject.images)
        ],
        "stages": [_stage_data(stage) for stage in subject.stages],
    }  # fmt: skip


def _stage_data(stage: Stage) -> dict[str, Any]:
    unit = stage.unit
    return {
        "number": stage.number, "name": stage.name, "caption": unit.caption, "kind": unit.kind,
        "shape": list(unit.shape), "parameters": unit.parameters, "macs": unit.macs,
        "steps": [{"name": step.name, "kind": step.kind, "layer": step.layer} for step in stage.steps],
    }  # fmt: skip


def _left_out(data: dict[str, dict[str, Any]]) -> str:
    """Return what the views left out to keep the page small, in one sentence."""
    parts = [view["left_out"] for view in data.values() if view.get("left_out")]
    return f"To keep the file small, it shows {'; '.join(parts)}." if parts else "Nothing was left out."
