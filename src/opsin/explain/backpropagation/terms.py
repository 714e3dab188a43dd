"""The gradient of one weight as the sum of its terms: δ(y, x) · input(y + i, x + j) at every place of the output.

LeCun et al., "Gradient-based learning applied to document recognition", 1998: weights are shared between places, so
the gradients of all places are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.errors import UsageError
from opsin.base.formatting import decimal
from opsin.explain.arithmetic.float32 import add
from opsin.explain.arithmetic.orders import Order, find_orders
from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.backpropagation.orders import candidates
from opsin.explain.backpropagation.sums import ROW_BY_ROW, GradientOrder, dot
from opsin.explain.backpropagation.taps import Floats, Index, Window, tap_windows, windows
from opsin.explain.backpropagation.uses import CONV, TRANSPOSED, Use
from opsin.ir import Tensor

MAX_CHECKED = 4
"""Channels on each side of a layer whose sums are computed to find the order in which the engine adds."""


@dataclass(frozen=True, eq=False)
class UseTerms:
    """The terms of one use of a weight. `order` is that of the engine's sum; None if it is not known."""

    kind: str
    layer: str
    window: Window
    order: GradientOrder | None

    @property
    def products(self) -> NDArray[np.float64]:
        """The terms, rows × columns, without rounding: a product of two float32 is exact in float64."""
        return self.window.delta.astype(np.float64) * self.window.values

    @property
    def total(self) -> np.float32:
        """The sum in float32, in the engine's order if it is known and otherwise row by row."""
        window = self.window
        return np.float32(dot(window.delta, window.values, self.order or ROW_BY_ROW, window.inside))


@dataclass(frozen=True, eq=False)
class WeightGradient:
    """The gradient of the loss for the weight at `index` of the parameter `name`.

    `gradient` is the engine's number. `uses` are in the order of computation; there are none for a parameter that is
    used in another way than a layer's weight, bias, or normalization.
    """

    name: str
    index: Index
    value: np.float32
    gradient: np.float32
    uses: tuple[UseTerms, ...] = field(default=())

    @property
    def plain_sum(self) -> float:
        """The sum of all terms in float64."""
        return float(sum(use.products.sum() for use in self.uses))

    @property
    def float32_sum(self) -> np.float32:
        """The sum of all terms in float32: the last use first, as backpropagation adds them."""
        return np.float32(sum_of_uses([use.total for use in self.uses])) if self.uses else np.float32(0)

    @property
    def is_exact(self) -> bool:
        """Whether the float32 sum of the terms is bit-identical to the engine's gradient."""
        return self.float32_sum.tobytes() == self.gradient.tobytes()

    @property
    def sentence(self) -> str:
        """Whether the terms add up to the engine's gradient, and how far off other sums are."""
        if not self.uses:
            return f"{self.name} is not a weight, bias or scale of a layer, so its gradient is not shown term by term."
        gap = decimal(abs(self.plain_sum - float(self.gradient)), ".1e")
        if self.is_exact:
            how = {use.order.words for use in self.uses if use.order}
            order = f", added {' and '.join(sorted(how))}," if how else ""
            return f"The terms{order} give the engine's gradient bit by bit; in float64 they differ from it by {gap}."
        return f"The terms differ from the engine's gradient by {gap}: it adds them in another order, in float32."


class Terms:
    """The terms of any weight of a network, for one image. The order of each layer's sums is found once."""

    def __init__(self, backward: Backward, step: Pass) -> None:
        self.backward, self.step = backward, step
        self._orders: dict[str, GradientOrder | None] = {}

    def of(self, name: str, index: Index) -> WeightGradient:
        """Return the gradient of one weight. Raise `UsageError` if there is no such parameter or place."""
        parameter = self.parameter(name)
        values = self.backward.model.state[name]
        if len(index) != values.ndim or any(not 0 <= i < size for i, size in zip(index, values.shape, strict=True)):
            raise UsageError(f"{name} is {' × '.join(map(str, values.shape))}: it has no element {index}")
        gradient = self.step.gradients[parameter]
        order = self.order(name)
        uses = [UseTerms(u.kind, u.node.scope, windows(u, self.step, index), order) for u in self._uses(name)]
        return WeightGradient(name, index, values[index], gradient[index], tuple(uses))

    def parameter(self, name: str) -> Tensor:
        """Return a parameter that the loss depends on."""
        parameter = self.backward.parameters.get(name)
        if parameter is None or parameter not in self.step.gradients:
            known = ", ".join(name for name, t in self.backward.parameters.items() if t in self.step.gradients)
            raise UsageError(f"the loss depends on no parameter called '{name}'; there are {known}")
        return parameter

    def order(self, name: str) -> GradientOrder | None:
        """Return the order of summation that gives the engine's gradients bit by bit; None if none of them does."""
        if name not in self._orders:
            uses = self._uses(name)
            delta = self.step.gradients[uses[0].output] if uses else np.zeros((1, 1), np.float32)
            rows, columns = delta.shape[2:] if delta.ndim == 4 else (1, 1)
            target = getattr(self.backward.program, "target", None)  # only of the native engine
            fused = getattr(target, "fma", True)
            planned = self._planned[name]
            summation = planned.summation if planned else None
            orders = candidates(uses[0], rows, columns, summation) if uses else []
            orders = [replace(order, fused=fused) for order in orders]
            self._orders[name] = next((order for order in orders if self._agrees(name, order)), None)
        return self._orders[name]

    @lazy
    def _planned(self) -> dict[str, Order | None]:
        """What the engine's plan says of the sum of each parameter's gradient."""
        names = [name for name, t in self.backward.parameters.items() if t in self.step.gradients]
        return dict(zip(names, find_orders(self.backward.program, [f"gradient of {n}" for n in names]), strict=True))

    def _uses(self, name: str) -> list[Use]:
        return [use for use in self.backward.uses[name] if use.output in self.step.gradients]

    def _agrees(self, name: str, order: GradientOrder) -> bool:
        """Whether an order gives the engine's gradients of some weights, bit by bit."""
        gradient, uses = self.step.gradients[self.parameter(name)], self._uses(name)
        if uses[0].kind in (CONV, TRANSPOSED):
            taps = gradient[0, 0].size
            shape = (uses[0].node.attrs["groups"], -1, gradient.shape[1], taps)
            few = gradient.reshape(shape)[:MAX_CHECKED, :MAX_CHECKED, :MAX_CHECKED]
            numbers = dict.fromkeys((taps // 2, 0))
            checks = (
                (few[..., n], sum_of_uses([_tap_sums(use, self.step, order, n) for use in uses])) for n in numbers
            )
        else:
            checks = ((gradient[index], self._sum(uses, index, order)) for index in _some(gradient.shape))
        return all(expected.tobytes() == found.tobytes() for expected, found in checks)

    def _sum(self, uses: list[Use], index: Index, order: GradientOrder) -> Floats:
        parts = [windows(use, self.step, index) for use in uses]
        return sum_of_uses([dot(w.delta, w.values, order, w.inside) for w in parts])


def sum_of_uses(totals: Sequence[Floats | np.float32]) -> Floats:
    """Return the sum over the uses of a layer, the last one first."""
    result = np.asarray(totals[-1], np.float32)
    for total in totals[-2::-1]:
        result = add(result, total)
    return result


def _tap_sums(use: Use, step: Pass, order: GradientOrder, tap: int) -> Floats:
    """Return the sums of some weights at one tap of a kernel: groups × filters × channels."""
    delta, under, inside = tap_windows(use, step, tap, MAX_CHECKED)
    return dot(delta, under, order, inside)


def _some(shape: tuple[int, ...]) -> list[Index]:
    """Return up to `MAX_CHECKED` places, spread over an array."""
    size = int(np.prod(shape))
    numbers = np.unique(np.linspace(0, size - 1, min(size, MAX_CHECKED)).astype(int))
    return [tuple(int(i) for i in np.unravel_index(number, shape)) for number in numbers]
