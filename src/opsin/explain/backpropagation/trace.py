"""Backpropagation of one image. Each part is computed when it is first used."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.backpropagation.chain import Chain
from opsin.explain.backpropagation.differences import Differences
from opsin.explain.backpropagation.target import Case, Target, default_target
from opsin.explain.backpropagation.terms import Terms
from opsin.explain.backpropagation.updates import Updates
from opsin.model import Model
from opsin.model.inputs import ImageInput, read_images


@dataclass(frozen=True, eq=False)
class Trace:
    """The forward and backward pass of one image. `print(trace.backward.graph)` shows the whole graph."""

    backward: Backward
    values: Pass

    @lazy
    def chain(self) -> Chain:
        """The steps from the loss back to any parameter."""
        return Chain(self.backward, self.values)

    @lazy
    def terms(self) -> Terms:
        """The gradient of any weight as a sum of terms."""
        return Terms(self.backward, self.values)

    @lazy
    def differences(self) -> Differences:
        """Central differences for any weight."""
        return Differences(self.backward, self.values.case)

    @lazy
    def updates(self) -> Updates:
        """Two steps of an optimizer on this image."""
        return Updates(self.backward, self.values)


def trace(model: Model, image: ImageInput, target: Target | None = None) -> Trace:
    """Trace the loss of one image back through a model.

    `image` is what `Model.predict` takes. `target` says what the answer should have been (`class_target`,
    `task_target`); by default it is the second most probable class (`default_target`). Raise `DataError` unless there
    is one image.
    """
    pixels, _ = read_images(image, model.preprocessing)
    pixels = model.history().stack(pixels)
    if len(pixels) != 1:
        raise DataError(f"backpropagation is traced for one image at a time, not for {len(pixels)}; give one image")
    chosen = target or default_target(model, model.outputs(pixels))
    backward = Backward(model, chosen.objective)
    return Trace(backward, backward.run(Case(pixels[0], chosen)))
