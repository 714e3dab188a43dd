"""The images of a page: their pixels, the answers to them, and the scores that are explained."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opsin.base.errors import UsageError
from opsin.explain.observer import Floats, Weights
from opsin.inspection.subject import SubjectImage
from opsin.model import Model
from opsin.model.inputs import ImageInput, read_images

MAX_IMAGES = 24
"""Images of a page, at most."""


def subject_images(
    model: Model, images: ImageInput, names: Sequence[str] | None, label: str | None
) -> tuple[SubjectImage, ...]:
    """Read images and ask the model about them. Raise `UsageError` if there are too many, or `label` is unknown."""
    if isinstance(images, Iterator):
        images = list(images)
    pixels, sizes = read_images(images, model.preprocessing)
    if len(pixels) > MAX_IMAGES:
        raise UsageError(f"a page shows at most {MAX_IMAGES} images, not {len(pixels)}; choose some of them")
    called = list(names) if names is not None else _names(images, len(pixels))
    if len(called) != len(pixels):
        raise UsageError(f"there are {len(pixels)} images and {len(called)} names; give one name for each image")
    stacked = model.history().stack(pixels)
    outputs = model.outputs(stacked)
    answers = model.task.answers(outputs, sizes, model.calibration, 1)
    scores = [
        explained(model, {key: array[n : n + 1] for key, array in outputs.items()}, label) for n in range(len(pixels))
    ]
    return tuple(
        SubjectImage(called[n], stacked[n], str(answers[n]), text, weights) for n, (text, weights) in enumerate(scores)
    )


def explained(model: Model, outputs: dict[str, Floats], label: str | None) -> tuple[str, Weights]:
    """Return the name and the weights of the score to explain, for the outputs of one image, N = 1.

    If the network finds nothing, all weights are 0.
    """
    scores = model.task.explained_scores(outputs, label)
    if not scores:
        return "", {name: np.zeros_like(array) for name, array in outputs.items()}
    return scores[0].label, {name: weights[None] for name, weights in scores[0].weights.items()}


def _names(images: ImageInput, count: int) -> list[str]:
    """Return the names of files, and numbers for everything else."""
    if isinstance(images, str | os.PathLike):
        return [Path(os.fsdecode(images)).name]
    several = list(images) if isinstance(images, Sequence) and len(images) == count else [None] * count
    return [
        Path(os.fsdecode(each)).name if isinstance(each, str | os.PathLike) else f"image {number}"
        for number, each in enumerate(several, start=1)
    ]
