"""From the probabilities of each frame to a sequence of labels, and to the frames of each label.

Class 0 is the blank. The best path takes the most probable class of every frame. The probability of a sequence is that
of all its paths together, so another sequence may be more probable: a prefix beam search adds the paths of the best
beginnings, frame by frame (Graves 2012, "Sequence transduction"; Hannun, Maas, Jurafsky & Ng, "First-pass large
vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BLANK = 0
BEAM = 8
"""Beginnings that are kept from frame to frame."""

MIN_PROBABILITY = 1e-4
"""Classes that are less probable in a frame do not continue a sequence there."""

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = tuple[int, ...]


def best_path(probabilities: Floats) -> Labels:
    """Return the labels of the best path through frames T × classes."""
    path = probabilities.argmax(axis=1)
    is_new = np.concatenate([[True], path[1:] != path[:-1]])
    return tuple(path[is_new & (path != BLANK)].tolist())


def beam_search(probabilities: Floats, beam: int = BEAM) -> tuple[Labels, float]:
    """Return the most probable sequence of labels for frames T × classes, and its probability, as far as it was found.

    Of each beginning, the probabilities of the paths that end in a blank, and in its last label, are kept apart: only
    after a blank may the label come again.
    """
    beams: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    scale = 0.0
    for frame in probabilities:
        likely = [label for label in np.flatnonzero(frame >= MIN_PROBABILITY).tolist() if label != BLANK]
        following: dict[Labels, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for labels, (blank, label_end) in beams.items():
            total, same = blank + label_end, following[labels]
            same[0] += total * float(frame[BLANK])
            if labels:
                same[1] += label_end * float(frame[labels[-1]])
            for label in likely:
                before = blank if labels and labels[-1] == label else total
                if before:
                    following[(*labels, label)][1] += before * float(frame[label])
        best = sorted(following.items(), key=lambda item: -sum(item[1]))[:beam]
        largest = sum(best[0][1]) or 1.0
        scale += float(np.log(largest))
        beams = {labels: (ends[0] / largest, ends[1] / largest) for labels, ends in best}
    labels, ends = max(beams.items(), key=lambda item: sum(item[1]))
    return labels, float(np.exp(min(0.0, scale + np.log(max(sum(ends), 1e-300)))))


@dataclass(frozen=True)
class Span:
    """The frames from `first` up to `end` in which a label is heard, and the largest probability that it has there."""

    first: int
    end: int
    confidence: float


def align(probabilities: Floats, labels: Sequence[int]) -> list[Span]:
    """Return the frames of each of the labels on the best path that spells them (forced alignment by Viterbi).

    Return nothing if there are too few frames.
    """
    states = [BLANK, *(state for label in labels for state in (label, BLANK))]
    frames, count = len(probabilities), len(states)
    scores = np.log(np.maximum(probabilities[:, states], 1e-300))
    skips = np.array([n >= 2 and states[n] != BLANK and states[n] != states[n - 2] for n in range(count)])
    best = np.full(count, -np.inf)
    best[:2] = scores[0, :2]
    steps = np.zeros((frames, count), np.intp)
    for frame in range(1, frames):
        before = np.pad(best, (2, 0), constant_values=-np.inf)
        choices = np.stack([before[2:], before[1:-1], np.where(skips, before[:-2], -np.inf)])
        steps[frame] = choices.argmax(axis=0)
        best = choices.max(axis=0) + scores[frame]
    state = count - 1 if count == 1 or best[-1] >= best[-2] else count - 2
    if not labels or not np.isfinite(best[state]):
        return []
    path = np.zeros(frames, np.intp)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= steps[frame, state]
    return [_span(probabilities, np.flatnonzero(path == 2 * n + 1), label) for n, label in enumerate(labels)]


def _span(probabilities: Floats, frames: NDArray[np.intp], label: int) -> Span:
    return Span(int(frames[0]), int(frames[-1]) + 1, float(probabilities[frames, label].max()))
