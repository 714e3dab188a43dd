"""What a page is about: a model, images, and optionally a dataset and a replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.data import Dataset
from opsin.explain.arithmetic.evaluate import CARRIED, SUMS
from opsin.explain.arithmetic.orders import Order
from opsin.explain.observer import Floats, Observer, Weights
from opsin.explain.stages import Stage, find_stages
from opsin.explain.tensor_groups import TensorGroups, divide_tensors, value_count
from opsin.ir import Tensor
from opsin.model import Model

SMALL_SIDE = 64
"""Networks for images up to this side get smaller pages."""

SMALL_BUDGET, LARGE_BUDGET = 2_300_000, 3_600_000
"""Bytes of all arrays of a page about one image, before compression."""

MAX_BUDGET = 6_500_000
"""Bytes of all arrays of a page about several images."""


@dataclass(frozen=True, eq=False)
class SubjectImage:
    """An image as the network takes it (`pixels`, uint8 C×H×W), and what the network answers.

    The score that is explained is the sum of the outputs times `weights` (for one image: 1 × the output's shape); it
    stands for `label`. `target` is the class that the answer should be, if it is known or asked for.
    """

    name: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    """Height and width of the original image."""
    answer: str
    summary: str
    """The answer in a few words."""
    label: str
    weights: Weights
    target: str = ""


@dataclass(frozen=True, eq=False)
class Observed:
    """The values of tensors for every image, N × shape, and the gradients of each image's score for them; `orders` say
    how the engine summed them."""

    values: Mapping[Tensor, Floats]
    gradients: Mapping[Tensor, Floats]
    orders: Mapping[Tensor, Order | None]
    release: Callable[[], None] = lambda: None
    """Releases the memory of what can be computed again."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with images. `data` and `replay` are optional; `progress` is called with the name of each task."""

    model: Model
    images: tuple[SubjectImage, ...]
    data: Dataset | None = None
    replay: Any = None
    progress: Callable[[str], None] = field(default=lambda text: None, repr=False)

    @lazy
    def observer(self) -> Observer:
        """Runs the network without Winograd's algorithm."""
        return Observer(self.model)

    @lazy
    def stages(self) -> list[Stage]:
        return find_stages(self.model.graph, self.model.layers)

    @lazy
    def observed(self) -> Observed:
        """Values and gradients of the output of every step, from a program for one image at a time.

        The values include those within a step that its arithmetic starts from: sums without bias, and functions that
        the engine approximates. Those of a large network are computed when they are first asked for, in groups.
        """
        steps = [step.output for stage in self.stages for step in stage.steps]
        tensors = dict.fromkeys([*self.model.graph.inputs[:1], *steps])
        nodes = (node for stage in self.stages for step in stage.steps for node in step.nodes)
        inner = [node.output for node in nodes if node.op.name in SUMS | CARRIED]
        position = {t: n for n, node in enumerate(self.model.graph.nodes) for t in node.outputs}
        known = sorted(dict.fromkeys([*tensors, *inner]), key=position.__getitem__)
        weights = tuple(self.images[0].weights)
        explained = [self.model.graph.outputs[name] for name in weights]

        def compute(group: Sequence[Tensor]) -> Observed:
            # The score depends on the outputs that it is made of, even if it depends on nothing else of the group.
            differentiated = list(dict.fromkeys([*explained, *(t for t in group if t in tensors)]))
            runs = [self.observer.gradients(i.pixels[None], i.weights, differentiated, group) for i in self.images]
            return Observed(
                _stacked(group, [values for _, _, values in runs]),
                _stacked(differentiated, [gradients for _, gradients, _ in runs]),
                self.observer.gradient_orders(1, weights, differentiated, group),
            )

        count = len(self.images)
        divided = divide_tensors(known, lambda t: count * value_count(t) * (2 if t in tensors else 1))
        groups = TensorGroups(divided, compute)
        return Observed(
            groups.view(known, lambda each: each.values),
            groups.view(tensors, lambda each: each.gradients),
            groups.view(known, lambda each: each.orders),
            groups.release,
        )

    def release(self) -> None:
        """Release the memory of programs, values and gradients; they are computed again when they are needed."""
        self.observer.release()
        self.observed.release()

    def shown_image(self, number: int) -> NDArray[np.uint8]:
        """Return image `number` alone, uint8 C×H×W, without the frames before it."""
        return self.images[number].pixels[: self.model.preprocessing.channels]

    @property
    def is_small(self) -> bool:
        """Whether the network takes small images, such as digits."""
        return max(self.model.preprocessing.size) <= SMALL_SIDE

    @property
    def budget(self) -> int:
        """Bytes that all arrays of a page may take before compression."""
        one = SMALL_BUDGET if self.is_small else LARGE_BUDGET
        return min(MAX_BUDGET, one + (len(self.images) - 1) * one // 3)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """All images, N×C×H×W."""
        return np.stack([image.pixels for image in self.images])


def _stacked(tensors: Sequence[Tensor], runs: Sequence[Sequence[Floats]]) -> dict[Tensor, Floats]:
    if len(runs) == 1:  # a copy of all values would take longer than the run
        return dict(zip(tensors, runs[0], strict=True))
    return {tensor: np.concatenate([run[number] for run in runs]) for number, tensor in enumerate(tensors)}
