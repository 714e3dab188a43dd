"""The images of a page: their pixels, the answers to them, and the scores that are explained."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opsin.base.errors import UsageError
from opsin.data import Dataset, Samples
from opsin.explain.observer import Floats, Weights
from opsin.inspection.subject import SubjectImage
from opsin.model import Model
from opsin.model.inputs import ImageInput, read_images

MAX_IMAGES = 24
"""Images of a page, at most."""


def subject_images(
    model: Model,
    images: ImageInput,
    names: Sequence[str] | None = None,
    label: str | None = None,
    truth: Sequence[str] | None = None,
) -> tuple[SubjectImage, ...]:
    """Read images and ask the model about them; see `opsin.see` for the arguments.

    Raise `UsageError` if there are too many images, if `names` or `truth` are not as many, or if `label` is unknown.
    """
    if isinstance(images, Iterator):
        images = list(images)
    pixels, sizes = read_images(images, model.preprocessing)
    if len(pixels) > MAX_IMAGES:
        raise UsageError(f"a page shows at most {MAX_IMAGES} images, not {len(pixels)}; choose some of them")
    if isinstance(names, str):
        raise UsageError(f"names are a list with a name for each image, not '{names}'")
    called = list(names) if names is not None else _names(images, len(pixels))
    targets = list(truth) if truth is not None else [label or ""] * len(pixels)
    for words, given in (("names", called), ("true labels", targets)):
        if len(given) != len(pixels):
            raise UsageError(f"there are {len(pixels)} images and {len(given)} {words}")
    stacked = model.history().stack(pixels)
    outputs = model.outputs(stacked)
    answers = model.task.answers(outputs, sizes, model.calibration, 1 if hasattr(model.task, "probabilities") else None)
    subjects = []
    for n, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        text, weights = explained(model, {key: array[n : n + 1] for key, array in outputs.items()}, label)
        known = f"{answer}, labelled {target}" if truth is not None and target != text else str(answer)
        subjects.append(SubjectImage(called[n], stacked[n], known, text, weights, target))
    return tuple(subjects)


def explained(model: Model, outputs: dict[str, Floats], label: str | None) -> tuple[str, Weights]:
    """Return the name and the weights of the score to explain, for the outputs of one image, N = 1.

    If the network finds nothing, all weights are 0.
    """
    scores = model.task.explained_scores(outputs, label)
    if not scores:
        return "", {name: np.zeros_like(array) for name, array in outputs.items()}
    return scores[0].label, {name: weights[None] for name, weights in scores[0].weights.items()}


def dataset_names(data: Dataset, images: Samples) -> Sequence[str]:
    """Return the names of `images`, which are all of a dataset; without names, `image_name`."""
    return images.names or [
        image_name(split, number) for split, part in data.splits.items() for number in range(len(part))
    ]


def image_name(split: str, number: int) -> str:
    """Return what an image of a split is called that has no name; the first `number` is 0."""
    return f"{split} image {number + 1:,}"


def _names(images: ImageInput, count: int) -> list[str]:
    """Return the names of files, and numbers for everything else."""
    if isinstance(images, str | os.PathLike):
        return [Path(os.fsdecode(images)).name]
    several = list(images) if isinstance(images, Sequence) and len(images) == count else [None] * count
    return [
        Path(os.fsdecode(each)).name if isinstance(each, str | os.PathLike) else f"image {number}"
        for number, each in enumerate(several, start=1)
    ]
