"""What decided: for samples of other kinds than images, each part is hidden in turn (see `opsin.inputs.occlusion`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import Samples
from opsin.model import Model
from opsin.report.examples import Example

EPSILON = 1e-6
"""Probabilities are kept this far from 0 and 1, so that their odds are finite."""


def explained(model: Model, samples: Samples, examples: Sequence[Example], seconds: float) -> tuple[Example, ...]:
    """Return examples in which the parts are marked that speak for the model's answer, as long as there is time.

    Images have pages of `opsin see` for this, and stay as they are.
    """
    if samples.input is None:
        return tuple(examples)
    end, result = perf_counter() + seconds, list(examples)
    for place, example in enumerate(examples):
        if perf_counter() > end:
            break
        sample = samples.pixels[example.number]
        values = importance(model, sample, samples.input.occluded(sample), example.answer)
        result[place] = replace(example, html=samples.input.html(sample, values))
    return tuple(result)


def importance(model: Model, sample: NDArray[Any], copies: NDArray[Any], answer: str) -> NDArray[np.float64]:
    """Return by how much the log-odds of an answer fall if a part is hidden; the largest change is 1 or -1."""
    probabilities = model.probabilities(np.concatenate([sample[None], copies]))[:, model.labels.index(answer)]
    clipped = np.clip(probabilities, EPSILON, 1 - EPSILON)
    odds = np.log(clipped / (1 - clipped))
    changes = odds[0] - odds[1:]
    return np.asarray(changes / max(float(np.abs(changes).max(initial=0)), EPSILON))
