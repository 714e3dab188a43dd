"""Reports on models: what a model can do and what it cannot, as a page, as text and as data."""

from opsin.report.files import write, write_text
from opsin.report.model_report import SECONDS, ModelReport, measure_model
from opsin.report.page import page
from opsin.report.text import text

__all__ = ["SECONDS", "ModelReport", "measure_model", "page", "text", "write", "write_text"]
