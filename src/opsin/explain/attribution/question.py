"""What is to be explained: images, one score of each, and the layer that a map shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.data.batches import pad_rows
from opsin.explain.attribution.disturbance import disturbed
from opsin.explain.map_layers import MapLayer
from opsin.explain.observer import Observer
from opsin.ir import Tensor
from opsin.tasks.explained_score import ExplainedScore

Floats = NDArray[np.float64]
Inputs = NDArray[np.float32]
Features: TypeAlias = tuple[Floats, Floats]
"""The values of a layer, and the gradients of the scores for them, both N × channels × rows × columns."""

MAX_BATCH, BATCH_VALUES = 16, 2**27
"""Images that the network takes at once, and the values of all its tensors for them: half a gigabyte. Programs
with and without gradients share kernels if their batches have the same size."""


@dataclass(frozen=True, eq=False)
class Question:
    """Normalized images, float32 N × C × H × W, with one score each, and a layer; None for methods of the whole image.

    The layer's values and gradients are computed once, for all methods.
    """

    observer: Observer
    inputs: Inputs
    scores: Sequence[ExplainedScore]
    layer: MapLayer | None = None
    known: Mapping[MapLayer, Features] = field(default_factory=dict)
    """Values and gradients of layers that were computed before: see `with_layers`."""

    @lazy
    def features(self) -> Features:
        """The values of the layer, and the gradient of the score for them."""
        assert self.layer is not None
        return self.known[self.layer] if self.layer in self.known else self._features([self.layer])[0]

    @lazy
    def disturbed(self) -> list[Features]:
        """The features of the layer with errors like those of rounding, several times."""
        return disturbed(*self.features)

    def with_layers(self, layers: Sequence[MapLayer]) -> list[Question]:
        """Return this question for each of several layers, whose values and gradients come from one run."""
        known = dict(zip(layers, self._features(layers), strict=True))
        return [Question(self.observer, self.inputs, self.scores, layer, known) for layer in layers]

    def _features(self, layers: Sequence[MapLayer]) -> list[Features]:
        tensors = [layer.tensor for layer in layers]
        parts = [
            self.observer.gradients_of_inputs(inputs, stacked(scores), tensors, tensors)
            for inputs, scores in self._batches()
        ]
        return [
            (self._joined([v[n] for _, _, v in parts]), self._joined([g[n] for _, g, _ in parts]))
            for n in range(len(layers))
        ]

    def _joined(self, parts: Sequence[Inputs]) -> Floats:
        return np.concatenate(parts)[: len(self.inputs)].astype(np.float64)

    def _batches(self) -> list[tuple[Inputs, list[ExplainedScore]]]:
        parts = batches(self.observer, self.inputs)
        size = len(parts[0])
        return [(part, _padded(self.scores[n * size : (n + 1) * size], size)) for n, part in enumerate(parts)]

    def scores_and_gradients(self, inputs: Inputs, score: ExplainedScore) -> tuple[Floats, Inputs]:
        """Return one score for several `inputs`, M × C × H × W, and its gradient for each of them."""
        source: Tensor = self.observer.graph.inputs[0]
        inputs_of_runs = batches(self.observer, inputs)
        weights = stacked([score] * len(inputs_of_runs[0]))
        parts = [self.observer.gradients_of_inputs(each, weights, [source]) for each in inputs_of_runs]
        values = np.concatenate([values for values, _, _ in parts])[: len(inputs)]
        return values.astype(np.float64), np.concatenate([gradients[0] for _, gradients, _ in parts])[: len(inputs)]

    @lazy
    def score_values(self) -> Floats:
        """The score of each image."""
        return np.array(
            [self.values(image[None], score)[0] for image, score in zip(self.inputs, self.scores, strict=True)]
        )

    def values(self, inputs: Inputs, score: ExplainedScore) -> Floats:
        """Return one score for several `inputs`: M numbers."""
        return score.values(run_outputs(self.observer, inputs, score))


def run_outputs(observer: Observer, inputs: Inputs, score: ExplainedScore) -> dict[str, Inputs]:
    """Return the network's outputs that `score` depends on, by name, for M normalized images."""
    names = list(score.weights)
    tensors = [observer.graph.outputs[name] for name in names]
    parts = [observer.run_inputs(each, tensors) for each in batches(observer, inputs)]
    return {name: np.concatenate([part[i] for part in parts])[: len(inputs)] for i, name in enumerate(names)}


def largest_batch(observer: Observer) -> int:
    """Return how many images the network takes at once: a power of two, so that threads get equal shares."""
    fitting = max(1, min(MAX_BATCH, BATCH_VALUES // max(1, observer.values_of_image)))
    return 1 << (fitting.bit_length() - 1)


def batches(observer: Observer, inputs: Inputs) -> list[Inputs]:
    """Return `inputs` in batches of one size, the last one padded. Few images are run one by one."""
    largest = largest_batch(observer)
    size = largest if len(inputs) > largest // 4 else 1
    return [pad_rows(inputs[first : first + size], size) for first in range(0, len(inputs), size)]


def stacked(scores: Sequence[ExplainedScore]) -> Mapping[str, Inputs]:
    """Return the weights of the scores of N images, N × the shape of each output."""
    shapes = {name: weights for score in scores for name, weights in score.weights.items()}
    return {
        name: np.stack([score.weights.get(name, np.zeros_like(example)) for score in scores])
        for name, example in shapes.items()
    }


def _padded(scores: Sequence[ExplainedScore], size: int) -> list[ExplainedScore]:
    return [*scores, *[scores[-1]] * (size - len(scores))]
