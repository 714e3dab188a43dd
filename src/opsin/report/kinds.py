"""The kinds of report: a classifier has its own, and annotated tasks say themselves what is reported of them."""

from __future__ import annotations

from typing import TypeAlias

from opsin.data import Dataset
from opsin.inputs.nouns import renamed
from opsin.model import Model
from opsin.report import classification_page, classification_text, task_page, task_text
from opsin.report.common import SECONDS
from opsin.report.model_report import ModelReport, measure_classifier
from opsin.report.nouns import renamed_page
from opsin.report.task_report import TaskReport, measure_task
from opsin.tasks.registry import is_annotated

AnyReport: TypeAlias = ModelReport | TaskReport


def measure_model(model: Model, data: Dataset, *, seconds: float = SECONDS) -> AnyReport:
    """Measure `model` on the test split of `data`, or on all of it if the model was trained on other data.

    Takes about `seconds` and the time of the evaluation itself. Raise `DataError` if the data has classes that the
    model does not know, or is for another task.
    """
    measure = measure_task if is_annotated(model.task) else measure_classifier
    return measure(model, data, seconds)


def page(report: AnyReport) -> str:
    """Return the report as an HTML file."""
    html = task_page.page(report) if isinstance(report, TaskReport) else classification_page.page(report)
    return renamed_page(html, report.kind)


def text(report: AnyReport) -> list[str]:
    """Return headline, classes, findings and next steps, in lines for a terminal."""
    lines = task_text.text(report) if isinstance(report, TaskReport) else classification_text.text(report)
    return [renamed(line, report.kind) for line in lines]
