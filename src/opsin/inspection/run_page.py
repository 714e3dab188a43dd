"""The page that a run gets: the network at work on its mistakes, on its data, and how it learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opsin.data import Dataset
from opsin.inspection.api import inspect
from opsin.inspection.images import NamedImages, image_name
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

    Without mistakes, it shows the first images that were measured.
    """
    images = evaluated_images(model, data).stacked(model.preprocessing.frames)
    mistakes = list(report.explained)
    numbers = mistakes or list(range(min(len(images), MAX_EXPLAINED)))
    names = [images.names[number] if images.names else image_name(report.split, number) for number in numbers]
    pixels = images.take(np.array(numbers, np.intp)).pixels[:]
    truth = [example.label for example in report.mistakes[: len(mistakes)]] if isinstance(report, ModelReport) else None
    named = NamedImages(names, pixels, [model.preprocessing.size] * len(pixels))
    replay = folder if (folder / REPLAY).is_dir() else None
    inspect(model, named, truth=truth or None, data=data, replay=replay).save(folder / SEE)
    return SEE
