"""The loss of connectionist temporal classification, for sequences of labels without times, and its gradient.

A network gives scores of C classes for each of T frames; class 0 is the *blank*, "no label". A path chooses a class in
every frame. It spells a sequence of labels if these are left when repetitions are merged and then blanks removed. The
loss is -log of the total probability of all paths that spell the right sequence (Graves, Fernández, Gomez &
Schmidhuber, "Connectionist temporal classification", 2006). They are added by the forward-backward algorithm over the
2 L + 1 states blank, label 1, blank, …, label L, blank.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import GraphError, ShapeError
from opsin.ir import INT, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, need_float, register


class CTCLoss(Primitive):
    """logits N × T × C, labels (whole numbers N × L) → N: -log of the probability of each sequence of labels.

    Labels are 1 … C-1; a negative number ends a sequence. The loss is infinite, and its gradient zero, if T frames are
    too few for the labels (equal neighbours need a blank between them) or if a label is no class.
    """

    name = "ctc_loss"

    def infer(self, logits: Type, labels: Type) -> Type:
        _check(self.name, logits, labels)
        return Type(logits.shape[:1])

    def evaluate(self, logits: Array, labels: Array) -> Array:
        scores, skips, last = _states(logits, labels)
        total = _ends(_forward(scores, skips)[-1], last)
        return np.asarray(-total, logits.dtype)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        logits, labels = node.inputs
        return _ctc_loss_gradient(logits, labels, g).output, None

    def sample(self, rng: np.random.Generator) -> Sample:
        logits, labels = _sample(rng)
        return Sample((logits, labels), {}, (0,))


class CTCLossGradient(Primitive):
    """logits N × T × C, labels N × L, g N → N × T × C: the gradient of Σ g · `ctc_loss`.

    That of a frame is its softmax less the share of the right paths that are in each class then.
    """

    name = "ctc_loss_gradient"

    def infer(self, logits: Type, labels: Type, g: Type) -> Type:
        _check(self.name, logits, labels)
        need_float(self.name, g)
        if g.shape != logits.shape[:1]:
            raise ShapeError(f"{self.name}: expected a number for each sample of {logits}, got {g}")
        return logits

    def evaluate(self, logits: Array, labels: Array, g: Array) -> Array:
        scores, skips, last = _states(logits, labels)
        forward, backward = _forward(scores, skips), _backward(scores, skips, last)
        total = _ends(forward[-1], last)
        with np.errstate(invalid="ignore"):
            shares = np.exp(forward + backward - total[:, None])
        result = np.exp(_log_softmax(logits))
        rows = np.arange(len(logits))[:, None]
        for frame, share in enumerate(shares):
            np.subtract.at(result[:, frame], (rows, _extended(labels, logits.shape[2])), share)
        finite = np.where(np.isneginf(total), 0.0, 1.0)
        weighted = np.where(finite[:, None, None] > 0, result, 0.0) * g[:, None, None]
        return np.asarray(weighted, logits.dtype)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        raise GraphError("ctc_loss can be differentiated once, not twice")

    def sample(self, rng: np.random.Generator) -> Sample:
        logits, labels = _sample(rng)
        if sampling.flip(rng, 0.3):  # too few frames for all labels of one sample, or a label that is no class
            labels[0] = 1 if sampling.flip(rng) else logits.shape[2]
        return Sample((logits, labels, sampling.normal(rng, logits.shape[:1])), {})


def _check(name: str, logits: Type, labels: Type) -> None:
    need_float(name, logits)
    if labels.dtype != INT:
        raise ShapeError(f"{name}: labels are whole numbers, got {labels} of real ones; cast them first")
    if len(logits.shape) != 3 or len(labels.shape) != 2 or labels.shape[0] != logits.shape[0]:
        raise ShapeError(f"{name}: expected logits N × T × C and labels N × L, got {logits} and {labels}")
    if 0 in (*logits.shape[1:], *labels.shape[1:]):
        raise ShapeError(f"{name}: needs at least a frame, a class and a column of labels, got {logits} and {labels}")


def _extended(labels: Array, classes: int) -> Array:
    """Return the class of each state, N × (2 L + 1); 0 where there is none."""
    states = np.zeros((len(labels), 2 * labels.shape[1] + 1), np.int32)
    states[:, 1::2] = np.where((labels > 0) & (labels < classes), labels, 0)
    return states


def _states(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return the log-probability of each state in each frame, T × N × S, which states are reached from the
    last but one, N × S, and the number of the last state, N. States that do not exist have the probability 0."""
    lengths = np.where((labels < 0).any(1), (labels < 0).argmax(1), labels.shape[1])
    states = _extended(labels, logits.shape[2])
    scores = np.take_along_axis(_log_softmax(logits), states[:, None, :], axis=2).transpose(1, 0, 2)
    exists = np.arange(states.shape[1]) <= 2 * lengths[:, None]
    exists[:, 1::2] &= (labels > 0) & (labels < logits.shape[2])
    skips = np.zeros(states.shape, bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return np.where(exists, scores, -np.inf), skips, 2 * lengths


def _forward(scores: Array, skips: Array) -> Array:
    """Return the log of the probability of all beginnings of paths that end in each state, T × N × S."""
    result = np.full(scores.shape, -np.inf)
    result[0, :, :2] = scores[0, :, :2]
    for frame in range(1, len(scores)):
        before = np.pad(result[frame - 1], ((0, 0), (2, 0)), constant_values=-np.inf)
        skipped = np.where(skips, before[:, :-2], -np.inf)
        result[frame] = np.logaddexp(np.logaddexp(before[:, 2:], before[:, 1:-1]), skipped) + scores[frame]
    return result


def _backward(scores: Array, skips: Array, last: Array) -> Array:
    """Return the log of the probability of all ends of paths after each state, T × N × S."""
    result = np.full(scores.shape, -np.inf)
    rows = np.arange(len(last))
    result[-1, rows, last] = 0.0
    result[-1, rows, np.maximum(last - 1, 0)] = 0.0
    skips_from = np.pad(skips[:, 2:], ((0, 0), (0, 2)))
    for frame in range(len(scores) - 2, -1, -1):
        after = np.pad(result[frame + 1] + scores[frame + 1], ((0, 0), (0, 2)), constant_values=-np.inf)
        skipped = np.where(skips_from, after[:, 2:], -np.inf)
        result[frame] = np.logaddexp(np.logaddexp(after[:, :-2], after[:, 1:-1]), skipped)
    return result


def _ends(forward: Array, last: Array) -> Array:
    """Return the log of the probability of the whole sequences, N: they end in the last label or the blank after it."""
    rows = np.arange(len(last))
    label = np.where(last > 0, forward[rows, np.maximum(last - 1, 0)], -np.inf)
    return np.asarray(np.logaddexp(forward[rows, last], label))


def _log_softmax(logits: Array) -> Array:
    """Return log-probabilities in float64."""
    exact = logits.astype(np.float64)
    shifted = exact - exact.max(2, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(2, keepdims=True)))


def _sample(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return logits, and labels of different lengths (also 0) with repetitions, for which there are enough frames."""
    batch, classes, length = sampling.between(rng, 1, 5), sampling.pick(rng, (2, 3, 11, 17, 40)), rng.integers(1, 13)
    labels = sampling.whole(rng, (batch, int(length)), 1, classes)
    for row in labels:
        row[int(rng.integers(0, length + 1)) :] = -1
    need = max(int((row >= 0).sum() + (np.diff(row[row >= 0]) == 0).sum()) for row in labels)
    frames = max(1, need) + sampling.pick(rng, (0, 1, 7, 30))
    return sampling.normal(rng, (batch, frames, classes)) * 2, labels


_ctc_loss = register(CTCLoss())
_ctc_loss_gradient = register(CTCLossGradient())


def ctc_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -log of the probability that `logits` N × T × C give to sequences of `labels` N × L, as N numbers.

    Class 0 is the blank, labels are whole numbers 1 … C-1, and a negative number ends a shorter sequence. The loss is
    infinite, with a gradient of zero, if there are too few frames for the labels (Graves et al. 2006).
    """
    return _ctc_loss(logits, labels).output
