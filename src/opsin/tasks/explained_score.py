"""What of a network's outputs is explained: a score, such as the logit of a class, and how sure it makes the answer.

Logits are explained and not probabilities: a probability near 1 hardly changes with the image, so that its gradient
vanishes, and it also grows if the other classes lose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.tasks.probabilities import sigmoid, softmax

Floats = NDArray[np.float64]
Activation: TypeAlias = Literal["softmax", "sigmoid", "identity"]


@dataclass(frozen=True, eq=False)
class ExplainedScore:
    """A score of one image: the sum of all outputs times their weights.

    `weights` are arrays by the name of the output, of its shape for one image. The `activation` turns outputs into
    probabilities, "softmax" along the axis `axis` of the outputs of one image; it is "identity" where there are none.
    """

    label: str
    """The class, or the quantity."""
    description: str
    """What the score is, such as "the logit of 'cat'"."""
    weights: Mapping[str, NDArray[np.float32]]
    activation: Activation
    axis: int = 0
    box: tuple[float, float, float, float] | None = None
    """Of an object: left, top, right and bottom, as shares of the image's width and height."""

    def values(self, outputs: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the score of each of N images from the network's outputs."""
        return self._weighted({name: outputs[name].astype(np.float64) for name in self.weights})

    def confidences(self, outputs: Mapping[str, NDArray[Any]]) -> Floats | None:
        """Return the probability (0 to 1) of the label for each of N images; None if the score has none."""
        if self.activation == "identity":
            return None
        return self._weighted({name: self._probabilities(outputs[name].astype(np.float64)) for name in self.weights})

    def _weighted(self, outputs: Mapping[str, Floats]) -> Floats:
        parts = [
            outputs[name].reshape(-1, w.size) @ w.reshape(-1).astype(np.float64) for name, w in self.weights.items()
        ]
        return np.asarray(np.sum(parts, axis=0))

    def _probabilities(self, logits: Floats) -> Floats:
        return sigmoid(logits) if self.activation == "sigmoid" else softmax(logits, axis=self.axis + 1)


def class_scores(
    logits: NDArray[Any], labels: Sequence[str], activation: Activation, label: str | None, count: int
) -> list[ExplainedScore]:
    """Return the logits of the `count` best classes of one image, the best first, or that of the class `label`."""
    order = np.argsort(-logits, kind="stable")
    if label is not None:  # the most probable one of several classes with this name
        name = known(label, labels)
        order = order[[labels[k] == name for k in order]][:1]
    return [
        ExplainedScore(labels[k], f"the logit of '{labels[k]}'", {"logits": one_hot(logits.shape, k)}, activation)
        for k in order[:count]
    ]


def vector_component(output: str, vector: NDArray[Any], label: str | None, count: int) -> list[ExplainedScore]:
    """Return the `count` numbers of a vector, the output of this name, with the largest magnitudes.

    With a `label`, return the one whose place it is, from 1. Raise `UsageError` if there is none.
    """
    if label is not None and not (label.isdecimal() and 1 <= int(label) <= len(vector)):
        raise UsageError(f"a vector has the numbers 1 to {len(vector)} to explain, not '{label}'")
    places = np.argsort(-np.abs(vector), kind="stable")[:count] if label is None else [int(label) - 1]
    return [_component(output, vector, int(place)) for place in places]


def _component(output: str, vector: NDArray[Any], place: int) -> ExplainedScore:
    text = f"the magnitude of number {place + 1} of the vector"
    weights = one_hot(vector.shape, place) * (1 if vector[place] >= 0 else -1)
    return ExplainedScore(str(place + 1), text, {output: np.asarray(weights, np.float32)}, "identity")


def one_hot(shape: tuple[int, ...], place: Any) -> NDArray[np.float32]:
    """Return zeros with a one at `place`."""
    weights = np.zeros(shape, np.float32)
    weights[place] = 1
    return weights


def known(label: str, labels: Sequence[str]) -> str:
    """Return `label`. Raise `UsageError`, with similar names, if it is none of `labels`."""
    if not isinstance(label, str):
        raise UsageError(f"a label to explain is text, such as '{labels[0]}', not {label!r}")
    if label in labels:
        return label
    similar = get_close_matches(label, labels, n=3, cutoff=0.5)
    advice = (
        f"did you mean {' or '.join(similar)}?"
        if similar
        else f"there are {', '.join(labels[:10])}" + (", …" if len(labels) > 10 else "")
    )
    raise UsageError(f"there is no label '{label}' to explain; {advice}")
