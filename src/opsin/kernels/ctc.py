"""The loss of connectionist temporal classification and its gradient, by the forward-backward algorithm.

A sample has the states blank, label 1, blank, …, label L, blank. Vectors run along the states, and time is a loop. All
sums are those of logarithms. The largest of a frame is subtracted, so that numbers stay small in long sequences; the
gradient needs only their ratios within each frame. Where a state has no probability, its logarithm is `NEVER`, which
is finite so that differences of such numbers are no NaN.

A row of numbers by state has two margins at each end. A path begins in the margin before the first state, from which it
reaches the first blank or, skipping that, the first label. So the first frame needs no code of its own. In the same
way, paths run backwards from the margin after the last state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import F32, I32, INDEX, Builder, Kernel, Pointer, ScalarType, Target, Value
from opsin.kernels.ir.functions import exp, log
from opsin.kernels.spec import KernelSpec, Signature, clear, range_loop

NEVER = -1e30
IMPOSSIBLE = -1e29
"""Logarithms of probabilities below are those of impossible paths."""

MARGIN = 2
FLOAT = ScalarType(F32)


def row_size(labels: int, lanes: int) -> int:
    """Return the size of a row for so many labels: whole vectors of states, and the margins."""
    return -(-(2 * labels + 1) // lanes) * lanes + 2 * MARGIN


@dataclass(frozen=True)
class CTCLoss(KernelSpec):
    """`y[n]` is the loss of sample n: logits samples × frames × classes, labels samples × length; all dense.

    A block is a sample. Scratch: four rows of `row_size(length)`.
    """

    signature: ClassVar[Signature] = Signature(
        ("logits", "labels", "y"), ("frames", "classes", "length"), elements={"labels": I32}
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("ctc_loss")
        (logits, labels, y), (frames, classes, length) = self.bind(k)
        with k.loop(k.begin, k.end) as sample:
            states = _States(k, target.lanes, k.offset(labels, sample * length), length, classes)
            rows = states.row(2), states.row(3)
            states.begin(rows[1])
            total = k.register(k.constant(0.0, FLOAT))
            with k.loop(0, frames) as frame:
                scores = k.offset(logits, (sample * frames + frame) * classes)
                states.load_scores(scores, _log_sum(k, scores, classes, target.lanes))
                odd = (frame & 1) * states.size
                before, after = k.offset(rows[1], -odd), k.offset(rows[0], odd)
                total.set(total.get() + states.advance(before, after))
            end = k.offset(states.row(2), ((frames - 1) & 1) * states.size + MARGIN + 2 * states.count)
            probability = _log_add(k, k.load(end, 0), k.load(end, -1), k.constant(NEVER, FLOAT))
            loss = -(total.get() + probability)
            k.store(y, sample, k.select(probability < IMPOSSIBLE, float("inf"), loss))
        return k.kernel()


@dataclass(frozen=True)
class CTCLossGradient(KernelSpec):
    """`y[n, t, c] = g[n] · (softmax(logits)[n, t, c] - the share of the right paths that are in class c in frame t)`.

    The other arguments are those of `CTCLoss`. A block is a sample. Scratch: frames + 5 rows of `row_size(length)`.
    """

    signature: ClassVar[Signature] = Signature(
        ("logits", "labels", "g", "y"), ("frames", "classes", "length"), elements={"labels": I32}
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("ctc_loss_gradient")
        (logits, labels, g, y), (frames, classes, length) = self.bind(k)
        with k.loop(k.begin, k.end) as sample:
            states = _States(k, target.lanes, k.offset(labels, sample * length), length, classes)
            scores, result = (k.offset(array, sample * frames * classes) for array in (logits, y))
            forward = states.row(4)
            states.begin(forward)
            with k.loop(0, frames) as frame:
                states.load_scores(k.offset(scores, frame * classes), k.constant(0.0, FLOAT))
                before = k.offset(forward, frame * states.size)
                states.advance(before, k.offset(before, states.size))
            end = k.offset(forward, frames * states.size + MARGIN + 2 * states.count)
            probability = k.maximum(k.load(end, 0), k.load(end, -1))
            with k.when(probability < IMPOSSIBLE) as branch:
                clear(k, result, 0, frames * classes, target.lanes)
            with k.otherwise(branch):
                weight = k.load(g, sample)
                states.begin_backward()
                with k.loop(0, frames) as number:
                    frame = frames - 1 - number
                    at = k.offset(scores, frame * classes)
                    states.load_scores(at, k.constant(0.0, FLOAT))
                    _softmax(k, at, k.offset(result, frame * classes), classes, weight, target.lanes)
                    states.retreat(k.offset(forward, (frame + 1) * states.size), weight)
                    states.subtract_shares(k.offset(result, frame * classes))
        return k.kernel()


class _States:
    """The rows of one sample in scratch memory: 0 the scores of a frame, 1 which states are reached by skipping one."""

    def __init__(self, k: Builder, lanes: int, labels: Pointer, length: Value, classes: Value) -> None:
        self.k, self.lanes, self.labels, self.classes = k, lanes, labels, classes
        self.width = (2 * length + lanes) // lanes * lanes
        self.size = self.width + 2 * MARGIN
        self.count = self._count(length)
        never = k.constant(NEVER, FLOAT)
        for row in (0, 1):
            clear(k, self.row(row), 0, self.size, lanes, never)
        skips = k.offset(self.row(1), MARGIN)
        zero = k.constant(0.0, FLOAT)
        k.store(skips, 1, zero)  # from the margins, in which paths begin and end
        with k.loop(1, self.count) as number:
            is_other = k.equal(k.load(labels, number), k.load(labels, number - 1)) ^ 1
            k.store(skips, 2 * number + 1, k.select(is_other, zero, never))
        k.store(skips, 2 * self.count + 1, zero)

    def row(self, number: int) -> Pointer:
        return self.k.offset(self.k.scratch, number * self.size)

    def _count(self, length: Value) -> Value:
        """Return how many labels there are before the first negative number."""
        k = self.k
        count = k.register(k.constant(0, ScalarType(INDEX)))
        with k.loop(0, length) as number:
            is_next = k.equal(count.get(), number) & (k.convert("index", k.load(self.labels, number)) >= 0)
            with k.when(is_next):
                count.set(number + 1)
        return count.get()

    def begin(self, row: Pointer) -> None:
        """Write the row before the first frame: a path is in the margin."""
        self._clear(row)
        self.k.store(row, MARGIN - 1, self.k.constant(0.0, FLOAT))

    def begin_backward(self) -> None:
        """Write row 2 for the end of paths, which is the margin after the last state."""
        self._clear(self.row(2))
        self.k.store(self.row(2), MARGIN + 2 * self.count + 1, self.k.constant(0.0, FLOAT))

    def _clear(self, row: Pointer) -> None:
        clear(self.k, row, 0, self.size, self.lanes, self.k.constant(NEVER, FLOAT))

    def load_scores(self, scores: Pointer, normalizer: Value) -> None:
        """Write the scores of a frame, less `normalizer`, to row 0, by state."""
        k, row = self.k, self.k.offset(self.row(0), MARGIN)
        blank = k.maximum(NEVER, k.load(scores, 0) - normalizer)
        k.store(row, 0, blank)
        with k.loop(0, self.count) as number:
            label = k.convert("index", k.load(self.labels, number))
            k.store(row, 2 * number + 2, blank)
            with k.when(self._is_class(label)) as branch:
                k.store(row, 2 * number + 1, k.maximum(NEVER, k.load(scores, label) - normalizer))
            with k.otherwise(branch):
                k.store(row, 2 * number + 1, k.constant(NEVER, FLOAT))

    def _is_class(self, label: Value) -> Value:
        return (label >= 1) & (label < self.classes)

    def advance(self, before: Pointer, after: Pointer) -> Value:
        """Write the logarithms of paths up to the next frame to `after`, and return what was subtracted from them."""
        k, lanes = self.k, self.lanes
        scores, skips = self.row(0), self.row(1)
        self._clear_margins(after)
        largest = k.register(k.broadcast(NEVER, lanes))
        with k.loop(MARGIN, MARGIN + self.width, lanes) as at:
            stay, step, skip = (k.load(before, at - distance, lanes) for distance in (0, 1, 2))
            value = _log_add(k, stay, step, skip + k.load(skips, at, lanes)) + k.load(scores, at, lanes)
            k.store(after, at, value)
            largest.set(k.maximum(largest.get(), value))
        shift = k.reduce_lanes("max", largest.get())
        self._shift(after, shift)
        return shift

    def retreat(self, forward: Pointer, weight: Value) -> None:
        """Go back by a frame in row 2, and write the weighted shares of the paths in each state then to row 3."""
        k, lanes = self.k, self.lanes
        scores, skips, row, shares = (self.row(number) for number in range(4))
        largest, peak = (k.register(k.broadcast(NEVER, lanes)) for _ in range(2))
        with k.loop(MARGIN, MARGIN + self.width, lanes) as at:
            stay, step, skip = (k.load(row, at + distance, lanes) for distance in (0, 1, 2))
            value = _log_add(k, stay, step, skip + k.load(skips, at + 2, lanes))
            share = value + k.load(forward, at, lanes)
            value = value + k.load(scores, at, lanes)
            k.store(row, at, value)
            k.store(shares, at, share)
            largest.set(k.maximum(largest.get(), value))
            peak.set(k.maximum(peak.get(), share))
        self._clear_margins(row)
        self._shift(row, k.reduce_lanes("max", largest.get()))
        top = k.broadcast(k.reduce_lanes("max", peak.get()), lanes)
        total = k.register(k.broadcast(0.0, lanes))
        with k.loop(MARGIN, MARGIN + self.width, lanes) as at:
            share = exp(k, k.load(shares, at, lanes) - top)
            k.store(shares, at, share)
            total.set(total.get() + share)
        factor = k.broadcast(weight / k.reduce_lanes("add", total.get()), lanes)
        with k.loop(MARGIN, MARGIN + self.width, lanes) as at:
            k.store(shares, at, k.load(shares, at, lanes) * factor)

    def subtract_shares(self, result: Pointer) -> None:
        """Subtract the shares in row 3 from the classes of the states."""
        k, shares = self.k, self.k.offset(self.row(3), MARGIN)
        blank = k.register(k.load(shares, 0))
        with k.loop(0, self.count) as number:
            label = k.convert("index", k.load(self.labels, number))
            with k.when(self._is_class(label)):  # not after a NaN, which hides that a label is none
                k.store(result, label, k.load(result, label) - k.load(shares, 2 * number + 1))
            blank.set(blank.get() + k.load(shares, 2 * number + 2))
        k.store(result, 0, k.load(result, 0) - blank.get())

    def _clear_margins(self, row: Pointer) -> None:
        never = self.k.constant(NEVER, FLOAT)
        for place in (0, 1):
            self.k.store(row, place, never)
            self.k.store(row, MARGIN + self.width + place, never)

    def _shift(self, row: Pointer, shift: Value) -> None:
        """Subtract `shift` from the states in a row."""
        k, lanes = self.k, self.lanes
        shifts = k.broadcast(shift, lanes)
        with k.loop(MARGIN, MARGIN + self.width, lanes) as at:
            k.store(row, at, k.load(row, at, lanes) - shifts)


def _log_add(k: Builder, a: Value, b: Value, c: Value) -> Value:
    """Return log(e^a + e^b + e^c)."""
    largest = k.maximum(a, k.maximum(b, c))
    return largest + log(k, exp(k, a - largest) + exp(k, b - largest) + exp(k, c - largest))


def _log_sum(k: Builder, scores: Pointer, count: Value, lanes: int) -> Value:
    """Return log Σ e^score over `count` numbers."""
    largest = _largest(k, scores, count, lanes)
    wide, single = k.register(k.broadcast(0.0, lanes)), k.register(k.constant(0.0, FLOAT))
    for at, n in range_loop(k, 0, count, lanes):
        total = wide if n == lanes and lanes > 1 else single
        total.set(total.get() + exp(k, k.load(scores, at, n) - k.broadcast(largest, n)))
    return largest + log(k, k.reduce_lanes("add", wide.get()) + single.get())


def _largest(k: Builder, scores: Pointer, count: Value, lanes: int) -> Value:
    wide, single = k.register(k.broadcast(NEVER, lanes)), k.register(k.constant(NEVER, FLOAT))
    for at, n in range_loop(k, 0, count, lanes):
        largest = wide if n == lanes and lanes > 1 else single
        largest.set(k.maximum(largest.get(), k.load(scores, at, n)))
    return k.maximum(k.reduce_lanes("max", wide.get()), single.get())


def _softmax(k: Builder, scores: Pointer, result: Pointer, count: Value, weight: Value, lanes: int) -> None:
    """Write `weight` times the softmax of `count` scores."""
    normalizer = _log_sum(k, scores, count, lanes)
    for at, n in range_loop(k, 0, count, lanes):
        value = exp(k, k.load(scores, at, n) - k.broadcast(normalizer, n)) * k.broadcast(weight, n)
        k.store(result, at, value, n)
