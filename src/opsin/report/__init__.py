"""Reports on models: what a model can do and what it cannot, as a page, as text and as data."""

from opsin.report.common import SECONDS
from opsin.report.files import write, write_text
from opsin.report.kinds import AnyReport, measure_model, page, text
from opsin.report.model_report import ModelReport
from opsin.report.task_report import TaskReport

__all__ = [
    "SECONDS",
    "AnyReport",
    "ModelReport",
    "TaskReport",
    "measure_model",
    "page",
    "text",
    "write",
    "write_text",
]
