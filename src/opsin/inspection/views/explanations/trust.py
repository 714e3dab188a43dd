"""What is known of the trustworthiness of maps: their faithfulness next to baselines, and the sanity check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opsin.explain import METHODS, Attribution, Explainer
from opsin.explain.faithfulness import Comparison, Confidence, Faithfulness, measure, measure_baselines
from opsin.explain.faithfulness.comparison import MAIN
from opsin.explain.faithfulness.measurement import METRICS
from opsin.explain.sanity import RandomNetworks
from opsin.inspection.subject import Subject
from opsin.tasks.explained_score import ExplainedScore

SANITY_IMAGES = 3
Results = Mapping[str, Faithfulness]
Baselines = Mapping[str, Sequence[Faithfulness]]


def measured(
    explainer: Explainer, subject: Subject, number: int, score: ExplainedScore, maps: Mapping[str, Attribution]
) -> tuple[Results, Baselines]:
    """Return the faithfulness of the maps of one image by method, and of the baselines."""
    image = subject.model.preprocessing.apply(subject.images[number].pixels[None])[0]
    confidence = Confidence(explainer.observer, score, image)
    return {name: measure(confidence, each.display) for name, each in maps.items()}, measure_baselines(confidence)


def image_data(results: Results, baselines: Baselines) -> dict[str, Any]:
    """Return the figures, curves and sentences of one image."""
    comparison = Comparison.of({name: [each] for name, each in results.items()}, [baselines])
    return {
        "methods": {name: _figures([each]) for name, each in results.items()},
        "baselines": {name: _figures(each) for name, each in baselines.items()},
        "sentences": {name: comparison.sentence(name, METHODS[name].title) for name in results},
        "unbeaten": [name for name in results if comparison.unbeaten(name)],
    }


def _figures(results: Sequence[Faithfulness]) -> dict[str, Any]:
    main = [getattr(each, MAIN) for each in results]
    return {
        **{name: float(np.mean([getattr(each, name) for each in results])) for name in METRICS},
        "range": [min(main), max(main)],
        "shares": results[0].insertion_curve.shares.tolist(),
        "inserted": np.mean([each.insertion_curve.confidences for each in results], axis=0).tolist(),
        "deleted": np.mean([each.deletion_curve.confidences for each in results], axis=0).tolist(),
    }


def together(results: Sequence[tuple[Results, Baselines]]) -> dict[str, Any] | None:
    """Return means over all images, with bounds if there are enough; None for a single image."""
    if len(results) < 2:
        return None
    names = [name for name in results[0][0] if all(name in each for each, _ in results)]
    comparison = Comparison.of(
        {name: [each[name] for each, _ in results] for name in names}, [baselines for _, baselines in results]
    )
    return {
        "images": len(results), "figures": comparison.to_data(),
        "sentences": {name: comparison.sentence(name, METHODS[name].title) for name in names},
    }  # fmt: skip


def sanity(
    explainer: Explainer, subject: Subject, scores: Mapping[int, ExplainedScore], methods: Sequence[str]
) -> dict[str, Any]:
    """Return the sanity check of methods on the first images of those that have `scores`, by their numbers."""
    numbers = list(scores)[:SANITY_IMAGES]
    networks = RandomNetworks(subject.model, explainer)
    checks = networks.check(
        subject.pixels[numbers], [scores[n] for n in numbers], methods, on_progress=subject.progress
    )
    return {
        name: {
            "shares": list(check.shares), "correlations": list(check.correlations), "passed": check.passed,
            "sentence": check.sentence(METHODS[name].title),
        }
        for name, check in checks.items()
    }  # fmt: skip
