"""Why this answer: which parts of the image support it, by several methods, and whether to believe them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.explain import Attribution, Explainer
from opsin.explain.attribution.registry import DEFAULT_METHOD
from opsin.explain.faithfulness.measurement import LOWER_IS_BETTER, METRICS
from opsin.explain.map_layers import MapLayer
from opsin.explain.observer import Floats
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject, SubjectImage
from opsin.inspection.views.explanations import trust
from opsin.inspection.views.explanations.drawing import drawn_answer
from opsin.inspection.views.explanations.maps import map_data, methods_data
from opsin.inspection.views.explanations.plan import Plan, chosen_layers
from opsin.tasks.explained_score import ExplainedScore

Explained: TypeAlias = dict[str, list[tuple[Attribution, NDArray[np.float64] | None]]]
"""By method: an attribution for each layer, the default layer first, or a single one; and the layer's values, for the
default layer only."""


class ExplanationsView:
    """Attribution maps of the best answers, with their faithfulness and the sanity check."""

    name: ClassVar[str] = "explanations"
    title: ClassVar[str] = "Why this answer"

    def markup(self, subject: Subject) -> str:
        """Return nothing: the script shows everything."""
        return ""

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return maps, figures and sentences of each image; None if no image has an answer to explain."""
        plan, explainer = Plan.of(subject), Explainer(subject.model, subject.observer)
        images, results, firsts = [], [], dict[int, ExplainedScore]()
        for number, image in enumerate(subject.images):
            subject.progress(f"explanations of {image.name}")
            outputs = subject.observer.outputs(image.pixels[None])
            scores = _scores(subject, image, outputs, plan.answers)
            shown = {
                "pixels": arrays.add(subject.shown_image(number)), "size": list(image.size),
                "drawing": drawn_answer(subject, number, outputs),
            }  # fmt: skip
            if not scores:
                images.append(shown | {"answers": []})
                continue
            firsts[number] = scores[0]
            answers = [_explained(explainer, subject, number, score, plan, n == 0) for n, score in enumerate(scores)]
            first = {name: maps[0][0] for name, maps in answers[0].items() if name in plan.measured}
            if first:
                subject.progress(f"faithfulness for {image.name}")
                results.append(trust.measured(explainer, subject, number, scores[0], first))
            images.append(
                shown
                | {
                    "answers": [_answer_data(score, maps, arrays) for score, maps in zip(scores, answers, strict=True)],
                    "trust": trust.image_data(*results[-1]) if first else None,
                }
            )
        if not firsts:
            return None
        checked = [name for name in plan.layer_methods if name in answers[0]]
        return {
            "images": images, "methods": methods_data(), "default": DEFAULT_METHOD, "metrics": METRICS,
            "lower": sorted(LOWER_IS_BETTER), "together": trust.together(results),
            "sanity": trust.sanity(explainer, subject, firsts, checked) if checked else {}, "left_out": plan.left_out,
        }  # fmt: skip


def _scores(subject: Subject, image: SubjectImage, outputs: dict[str, Floats], count: int) -> list[ExplainedScore]:
    """Return `count` scores of an image: those of the page's label and of the right class, then the best others."""
    task = subject.model.task
    best: list[ExplainedScore] = task.explained_scores(outputs, None, count, image.size)
    wanted = [label for label in dict.fromkeys((image.label, image.target)) if label in subject.model.labels]
    if not best or {best[0].label} == set(wanted):
        return best
    first = [score for label in wanted for score in task.explained_scores(outputs, label, 1, image.size)]
    return [*first, *(each for each in best if each.label not in wanted)][: max(count, len(first))]


def _explained(
    explainer: Explainer, subject: Subject, number: int, score: ExplainedScore, plan: Plan, is_first: bool
) -> Explained:
    """Return the attributions of a score."""
    pixels, layers = subject.images[number].pixels[None], explainer.layers(score)
    attributions: Explained = {}
    if layers.default is not None:
        chosen: list[MapLayer] = chosen_layers(layers.layers, layers.default)
        results = explainer.explain_layers(pixels, [score], plan.layer_methods, chosen)
        features = [results[0][0].features[0][0], *[None] * len(results)]
        for name in plan.layer_methods:
            attributions[name] = [
                (result[name][0], values) for (_, result), values in zip(results, features, strict=False)
            ]
    if is_first:
        results_of_image = explainer.explain(pixels, [score], plan.image_methods)
        attributions |= {name: [(results_of_image[name][0], None)] for name in plan.image_methods}
    return attributions


def _answer_data(score: ExplainedScore, maps: Explained, arrays: Arrays) -> dict[str, Any]:
    return {
        "label": score.label, "description": score.description, "box": score.box,
        "number": score.activation == "identity",
        "maps": {name: [map_data(*result, arrays) for result in results] for name, results in maps.items()},
    }  # fmt: skip
