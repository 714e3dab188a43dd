"""The images of a page: their pixels, the answers to them, and the scores that are explained."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset, Samples
from opsin.explain.observer import Floats, Weights
from opsin.inspection.subject import SubjectImage
from opsin.model import Model
from opsin.model.inputs import ImageInput, read_images

MAX_IMAGES = 24
"""Images of a page, at most."""


@dataclass(frozen=True, eq=False)
class NamedImages:
    """N images by `names`: `pixels` are uint8 N×C×H×W as the network takes them, `sizes` the original ones.

    For a network that compares frames, each image may be a stack with those before it.
    """

    names: Sequence[str]
    pixels: NDArray[np.uint8]
    sizes: Sequence[tuple[int, int]]


def read_named(model: Model, images: ImageInput, names: Sequence[str] | None) -> NamedImages:
    """Read images, which are what `Model.predict` takes; without `names` they are called as their files.

    Raise `UsageError` if there are too many images, or if `names` are not as many.
    """
    if isinstance(images, Iterator):
        images = list(images)
    pixels, sizes = read_images(images, model.preprocessing)
    check_count(len(pixels))
    if isinstance(names, str):
        raise UsageError(f"names are a list with a name for each image, not '{names}'")
    called = list(names) if names is not None else _names(images, len(pixels))
    _check_length("names", called, len(pixels))
    return NamedImages(called, pixels, sizes)


def check_count(count: int) -> None:
    """Raise an error unless a page can show `count` images."""
    if count > MAX_IMAGES:
        raise UsageError(f"a page shows at most {MAX_IMAGES} images, not {count:,}; choose some of them")
    if not count:
        raise DataError("there is no image to look at; give at least one")


def subject_images(
    model: Model, images: NamedImages, label: str | None = None, truth: Sequence[str] | None = None
) -> tuple[SubjectImage, ...]:
    """Ask the model about images; see `opsin.see` for the arguments.

    Raise `UsageError` if `truth` are not as many, or if `label` is unknown.
    """
    count = len(images.pixels)
    targets = list(truth) if truth is not None else [label or ""] * count
    _check_length("true labels", targets, count)
    is_stacked = images.pixels.shape[1:] == model.preprocessing.input_shape
    stacked = images.pixels if is_stacked else model.history().stack(images.pixels)
    outputs = model.outputs(stacked)
    top = 1 if hasattr(model.task, "probabilities") else None
    answers = model.task.answers(outputs, images.sizes, model.calibration, top)
    subjects = []
    for n, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        text, weights = explained(model, {key: array[n : n + 1] for key, array in outputs.items()}, label)
        labelled = f", labelled {target}" if truth is not None and target != text else ""
        words = str(answer) + labelled, answer.summary() + labelled
        subjects.append(SubjectImage(images.names[n], stacked[n], images.sizes[n], *words, text, weights, target))
    return tuple(subjects)


def _check_length(words: str, given: Sequence[str], count: int) -> None:
    if len(given) != count:
        raise UsageError(f"there are {count} images and {len(given)} {words}")


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
