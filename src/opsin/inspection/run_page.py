"""The page that a run gets: the network at work on its most confident mistakes, on its data, and how it learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opsin.data import Dataset
from opsin.inspection.api import see
from opsin.inspection.images import image_name
from opsin.model import Model
from opsin.report.common import evaluated_images
from opsin.report.examples import MAX_EXPLAINED
from opsin.report.kinds import AnyReport
from opsin.report.model_report import ModelReport
from opsin.runs.replay import REPLAY

SEE = "see.html"
"""The name of the page in the folder of a run."""


def write_run_page(folder: Path, model: Model, data: Dataset, report: AnyReport) -> str:
    """Write the page into the folder of a run and return its name, to which the report links its mistakes.

    Without mistakes, it shows the first images that were measured. Return an empty string, and write nothing, for tasks
    other than classification.
    """
    if not isinstance(report, ModelReport):
        return ""
    images = evaluated_images(model, data)
    mistakes = report.mistakes[:MAX_EXPLAINED]
    numbers = [example.number for example in mistakes] or list(range(min(len(images), MAX_EXPLAINED)))
    names = [images.names[number] if images.names else image_name(report.split, number) for number in numbers]
    replay = folder if (folder / REPLAY).is_dir() else None
    pixels = images.take(np.array(numbers, np.intp)).pixels[:]
    truth = [example.label for example in mistakes] or None
    see(model, pixels, names=names, truth=truth, data=data, replay=replay).save(folder / SEE)
    return SEE
