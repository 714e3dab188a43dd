"""Why a model gives its answers: scores, layers and attributions of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.explain.attribution import rounding
from opsin.explain.attribution.attribution import Attribution, attribution, finite
from opsin.explain.attribution.method import Method
from opsin.explain.attribution.question import Question
from opsin.explain.attribution.registry import DEFAULT_METHOD, find_method
from opsin.explain.map_layers import MapLayer, MapLayers, find_map_layers
from opsin.explain.observer import FLOAT32, Observer
from opsin.ir.checked import checked
from opsin.model import Model
from opsin.model.inputs import ImageInput, read_images
from opsin.tasks.explained_score import ExplainedScore
from opsin.tasks.task import Size

Pixels = NDArray[np.uint8]


class Explainer:
    """Explains the answers of a model. Compiled programs are kept, so that further images are fast.

    The network is run as it was trained, without the mean over mirror images, and without Winograd's algorithm, whose
    rounding can flip the decisions of ReLU and max pooling and with them the gradient. `observer` runs it, by default
    in float32; `Observer(model, precision="float64")` has no visible rounding. With `checks_rounding`, results say in
    their `details` whether rounding decides them.
    """

    def __init__(self, model: Model, observer: Observer | None = None, *, checks_rounding: bool = True) -> None:
        self.model, self.observer, self.checks_rounding = model, observer or Observer(model), checks_rounding

    def scores(
        self, pixels: Pixels, label: str | None = None, count: int = 1, sizes: Sequence[Size] | None = None
    ) -> list[list[ExplainedScore]]:
        """Return the scores of the `count` best answers, or of `label`, for each image: uint8 N × C × H × W.

        `sizes` are those of the original images, in whose pixels places are described. Raise `UsageError` for an
        unknown label.
        """
        outputs = [self.observer.outputs(image[None]) for image in pixels]
        return [
            self.model.task.explained_scores(each, label, count, size)
            for each, size in zip(outputs, sizes or repeat(None, len(outputs)), strict=True)
        ]

    def layers(self, score: ExplainedScore) -> MapLayers:
        """Return the layers whose maps may explain a score."""
        return find_map_layers(self.observer.graph, score)

    def question(self, pixels: Pixels, scores: Sequence[ExplainedScore], layer: MapLayer | None) -> Question:
        """Return the question for images and one score of each."""
        return Question(self.observer, self.model.preprocessing.apply(pixels), scores, layer)

    def explain(
        self, pixels: Pixels, scores: Sequence[ExplainedScore], methods: Sequence[str], layer: str | None = None
    ) -> dict[str, list[Attribution]]:
        """Return the attributions of images for one score of each, by method.

        `layer` is the path of a layer; None: the default one of each score. Raise `UsageError` if a method or layer
        does not exist.
        """
        results: dict[str, list[Any]] = {name: [None] * len(scores) for name in methods}
        for rows, question in self._questions(pixels, scores, methods, layer):
            for name in methods:
                for n, result in zip(rows, self._attributions(find_method(name), question), strict=True):
                    results[name][n] = result
        return results

    def raw_maps(
        self, pixels: Pixels, scores: Sequence[ExplainedScore], methods: Sequence[str], layer: str | None = None
    ) -> dict[str, list[NDArray[np.float64]]]:
        """Return the maps of `explain` alone, without the values of the scores and without remarks."""
        results: dict[str, list[Any]] = {name: [None] * len(scores) for name in methods}
        for rows, question in self._questions(pixels, scores, methods, layer):
            for name in methods:
                for n, result in zip(rows, find_method(name).compute(question), strict=True):
                    results[name][n] = finite(result.values)
        return results

    def _questions(
        self, pixels: Pixels, scores: Sequence[ExplainedScore], methods: Sequence[str], layer: str | None
    ) -> Iterator[tuple[list[int], Question]]:
        """Yield the numbers of the images whose maps are of the same layer, and the question for them."""
        needs_layer = any(find_method(name).needs_layer for name in methods)
        layers = [self.layers(score).find(layer) if needs_layer else None for score in scores]
        for tensor in dict.fromkeys(each.tensor if each else None for each in layers):
            rows = [n for n, each in enumerate(layers) if (each.tensor if each else None) is tensor]
            yield rows, self.question(pixels[rows], [scores[n] for n in rows], layers[rows[0]])

    def explain_layers(
        self, pixels: Pixels, scores: Sequence[ExplainedScore], methods: Sequence[str], layers: Sequence[MapLayer]
    ) -> list[tuple[Question, dict[str, list[Attribution]]]]:
        """Return what `explain` returns for each of `layers`, which all scores must have, from one run.

        The question before it holds the layer's values and gradients.
        """
        selection = [find_method(name) for name in methods]
        questions = self.question(pixels, scores, layers[0]).with_layers(layers)
        return [
            (question, {each.name: self._attributions(each, question) for each in selection}) for question in questions
        ]

    def _attributions(self, method: Method, question: Question) -> list[Attribution]:
        size = question.inputs.shape[2], question.inputs.shape[3]
        layer = question.layer if method.needs_layer else None
        values = question.score_values
        maps = method.compute(question)
        if self.checks_rounding:
            maps = rounding.with_remarks(method, question, maps)
        parts = zip(question.scores, values.tolist(), maps, strict=True)
        return [attribution(method, score, value, layer, raw, size) for score, value, raw in parts]


@checked
def attribute(
    model: Model,
    images: ImageInput,
    *,
    method: str = DEFAULT_METHOD,
    label: str | None = None,
    layer: str | None = None,
    precision: str = FLOAT32,
) -> list[Attribution]:
    """Return which parts of each image support an answer of the model.

    An image is anything that `Model.predict` takes. `label` is the class or quantity to be explained; None: the model's
    answer. `method` is one of `METHODS`, and `layer` the path of a layer; None: the last feature maps that everything
    passes through. `precision` "float64" computes the whole network in NumPy, slowly and without visible rounding; a
    result whose `details` have a "remark" may need it. Raise `UsageError` if one of them does not exist, and
    `DataError` if the network finds nothing in an image that could be explained.
    """
    explainer = Explainer(model, Observer(model, precision=precision))
    pixels, sizes = read_images(images, model.preprocessing)
    pixels = model.history().stack(pixels)
    answers = explainer.scores(pixels, label, sizes=sizes)
    for number, scores in enumerate(answers, start=1):
        if not scores:
            raise DataError(f"{model.name} finds nothing in image {number} that could be explained; give another image")
    return explainer.explain(pixels, [scores[0] for scores in answers], [method], layer)[method]
