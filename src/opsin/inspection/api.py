"""`opsin.see`: what a network computes for images, as data and as a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsin.base.concurrency import lazy
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.explain.observer import Floats
from opsin.explain.stages import Stage, Step
from opsin.inspection.images import NamedImages, read_named, subject_images
from opsin.inspection.page.document import notebook_frame
from opsin.inspection.page.target import write_page
from opsin.inspection.page.write import Page, make_page
from opsin.inspection.subject import Subject
from opsin.inspection.views.replay.frames import read_replay
from opsin.ir import show
from opsin.ir.arguments import instance
from opsin.ir.arguments import path as sound_path
from opsin.model import Model
from opsin.model.inputs import ImageInput
from opsin.model.int8 import rounds
from opsin.model.samples import require_images


@dataclass(frozen=True, eq=False)
class Inspection:
    """A model looked at on some images: its stages, and their values as arrays. A notebook shows the page."""

    subject: Subject = field(repr=False)

    def __str__(self) -> str:
        shown = [f"{image.name}: {image.answer}" for image in self.subject.images]
        return f"{self.subject.model.network}, {len(self.stages)} stages; {'; '.join(shown)}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer for each image, as text."""
        return tuple(image.answer for image in self.subject.images)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the network: the boxes of its diagram, with their steps."""
        return tuple(self.subject.stages)

    def feature_maps(self, stage: str | int, step: int = -1) -> Floats:
        """Return the output of a step of a stage for each image: float32 N×C×H×W, or N×C.

        `stage` is the number or the name of a stage, such as "conv1"; the default is its last step, which includes the
        activation. Raise `UsageError` if there is no such stage or step.
        """
        return self.subject.observed.values[self._step(stage, step).output]

    def gradients(self, stage: str | int, step: int = -1) -> Floats:
        """Return the gradients of each image's score for `feature_maps`. Raise `UsageError` as that does."""
        return self.subject.observed.gradients[self._step(stage, step).output]

    @lazy
    def page(self) -> Page:
        """The page with the data of its views."""
        return make_page(self.subject)

    def html(self) -> str:
        """Return the page: one HTML file that needs no network."""
        return self.page.html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file. Raise `UsageError` if it exists and is something else, or cannot be written."""
        write_page(path, self.html())

    def _repr_html_(self) -> str:
        return notebook_frame(self.html())

    def _step(self, stage: str | int, step: int) -> Step:
        owner = self._stage(stage)
        if not -len(owner.steps) <= step < len(owner.steps):
            raise UsageError(
                f"{owner.name} has {len(owner.steps)} steps, and no step {step}; "
                f"give a number from 0 to {len(owner.steps) - 1}"
            )
        return owner.steps[step]

    def _stage(self, stage: str | int) -> Stage:
        for each in self.subject.stages:
            if stage in (each.number, each.name):
                return each
        names = ", ".join(each.name for each in self.subject.stages)
        raise UsageError(f"the network has no stage {stage!r}; its stages are {names}")


def see(
    model: Model,
    images: ImageInput,
    *,
    names: Sequence[str] | None = None,
    label: str | None = None,
    truth: Sequence[str] | None = None,
    data: Dataset | None = None,
    replay: Any = None,
    on_progress: Callable[[str], None] | None = None,
) -> Inspection:
    """Look at what a model computes for images: feature maps, arithmetic, gradients and explanations.

    `images` are what `Model.predict` takes, and `names` what they are called. `label` is the class to explain; by
    default, each image's own answer. `truth` are the true labels of a classifier's images: backpropagation then starts
    from them. With `data`, the page also shows which of its images excite each channel most, and
    a map of all images. With `replay`, the folder of a run that was trained with `replay`, it also shows how the
    network learned. `on_progress` is called with the name of each part of the work. Raise `UsageError` for an unknown
    label, `DataError` for something that is no image.
    """
    instance("the model", model, Model, "opsin.load(FILE), opsin.import_onnx(FILE) or opsin.pretrained(NETWORK)")
    if data is not None:
        instance("data", data, Dataset, "what opsin.data.load returns")
        check_data(model, data)
    if replay is not None:
        sound_path("replay", replay)
    named = read_named(model, images, names)
    return inspect(model, named, label=label, truth=truth, data=data, replay=replay, on_progress=on_progress)


def inspect(
    model: Model,
    images: NamedImages,
    *,
    label: str | None = None,
    truth: Sequence[str] | None = None,
    data: Dataset | None = None,
    replay: str | os.PathLike[str] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Inspection:
    """Look at images that were read; see `see` for the arguments."""
    require_images(model, "opsin see")
    if rounds(model):
        raise UsageError(
            f"{model.name} is rounded to 8-bit integers, and has no gradients; give the model that it was exported from"
        )
    progress = on_progress or (lambda text: None)
    progress("answers")
    subjects = subject_images(model, images, label, truth)
    frames = None if replay is None else read_replay(replay, model)
    stacks = None if data is None else data.stacked(model.preprocessing.frames)
    return Inspection(Subject(model, subjects, stacks, frames, progress))


def check_data(model: Model, data: Dataset) -> None:
    """Raise `UsageError` unless a map of `data` can be made: its images are those of the network, its task the model's.

    A classifier may be shown other classes than its own.
    """
    if data.train.task.name != model.task.name:
        raise UsageError(
            f"{data.name} is data for {data.train.task.name}, and {model.name} does {model.task.name}; give data of "
            "that kind, or leave it out"
        )
    if data.train.single().shape != model.preprocessing.shape:
        raise UsageError(
            f"the images of {data.name} are {show(data.train.single().shape)}, and {model.name} takes "
            f"{show(model.preprocessing.shape)}; load them with preprocessing=model.preprocessing"
        )
