"""Decoding against sums and maxima over all paths, and edit distances against a definition by recursion."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import groupby, product

import numpy as np
import pytest

from opsin.tasks.transcription.decoding import Labels, align, beam_search, best_path
from opsin.tasks.transcription.edits import Edits, edits


def random_frames(seed: int, frames: int, classes: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, classes))
    probabilities = np.exp(logits)
    return np.asarray(probabilities / probabilities.sum(1, keepdims=True))


def spelled(path: tuple[int, ...]) -> Labels:
    return tuple(label for label, _ in groupby(path) if label)


def by_sequence(frames: np.ndarray) -> dict[Labels, float]:
    """Return the probability of each sequence: that of all paths that spell it."""
    found: dict[Labels, float] = defaultdict(float)
    for path in product(range(frames.shape[1]), repeat=len(frames)):
        found[spelled(path)] += float(frames[range(len(frames)), path].prod())
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_finds_the_most_probable_sequence(seed: int) -> None:
    frames = random_frames(seed, 6, 3)
    expected = by_sequence(frames)
    labels, probability = beam_search(frames, 100)
    assert labels == max(expected, key=lambda each: expected[each])
    assert probability == pytest.approx(expected[labels], rel=1e-3)  # improbable continuations are left out


def test_the_most_probable_sequence_may_not_be_that_of_the_best_path() -> None:
    frames = np.array([[0.6, 0.4], [0.6, 0.4]])
    assert best_path(frames) == ()
    assert beam_search(frames) == ((1,), pytest.approx(0.64))


def test_repetitions_need_a_blank() -> None:
    frames = np.eye(3)[[1, 1, 0, 1, 2, 2]] * 0.97 + 0.01
    assert best_path(frames) == beam_search(frames)[0] == (1, 1, 2)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("labels", [(1,), (1, 1), (2, 1, 2), (1, 2, 2)])
def test_alignment_is_the_best_path_of_the_sequence(seed: int, labels: Labels) -> None:
    frames = random_frames(seed, 6, 3)
    paths = [path for path in product(range(3), repeat=6) if spelled(path) == labels]
    best = max(paths, key=lambda path: float(frames[range(6), path].prod()))
    runs = [(label, len(list(run))) for label, run in groupby(best)]
    ends = np.cumsum([count for _, count in runs]).tolist()
    expected = [(end - count, end) for (label, count), end in zip(runs, ends, strict=True) if label]
    spans = align(frames, labels)
    assert [(span.first, span.end) for span in spans] == expected
    for span, label in zip(spans, labels, strict=True):
        assert span.confidence == frames[span.first : span.end, label].max()


def test_nothing_is_aligned_with_too_few_frames() -> None:
    assert align(random_frames(0, 2, 3), (1, 1)) == []
    assert align(random_frames(0, 2, 3), ()) == []
    assert len(align(random_frames(0, 1, 3), (1,))) == 1


@cache
def distance(a: Labels, b: Labels) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


def test_edits_are_the_fewest() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        truth, answer = (tuple(rng.integers(1, 4, rng.integers(0, 7)).tolist()) for _ in range(2))
        found = edits(truth, answer)
        assert found.count == distance(truth, answer)
        assert len(truth) - len(found.deletions) + len(found.insertions) == len(answer)


def test_kinds_of_edits() -> None:
    assert edits((1, 2, 3), (1, 9, 3)) == Edits(((2, 9),), (), ())
    assert edits((1, 2, 3), (1, 3)) == Edits((), (2,), ())
    assert edits((1, 3), (1, 2, 3)) == Edits((), (), (2,))
    assert edits((), (4, 4)) == Edits((), (), (4, 4))
