"""Optimizers as updates in the graph, with PyTorch's formulas and defaults.

An optimizer computes new values from parameters p and their gradients g. Its state between steps consists of variables
`optimizer.<parameter>.<slot>`, shaped like the parameter, and a few scalars. All of them start at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from opsin import ops
from opsin.base.errors import UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Tensor, scope, variable
from opsin.ir.arguments import called, real
from opsin.ir.checked import check_fields, tensors
from opsin.ir.checked import tensor as as_tensor

Rule = Callable[[Tensor, Tensor], Tensor]
"""From a parameter and its gradient to the parameter's new value."""


class OptimizerState:
    """The variables of one optimizer, and their new values by name."""

    def __init__(self) -> None:
        self.updates: dict[str, Tensor] = {}

    def slot(self, parameter: Tensor, kind: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """Set the variable `kind` of `parameter` to `rule` of its old value. Return the new value."""
        like = name_of(parameter)
        return self._set(variable(f"optimizer.{like}.{kind}", parameter.shape, like=like), rule)

    def scalar(self, kind: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """Set and return a number that all parameters share, like `slot`."""
        return self._set(variable(f"optimizer.{kind}", ()), rule)

    def _set(self, old: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        value = self.updates[name_of(old)] = rule(old)
        return value


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The base class. It clips the norm of all gradients together to `clip_norm`, then adds `weight_decay` · p."""

    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        check_fields(self, finite=True)
        if self.weight_decay < 0:
            raise UsageError(f"a weight decay is at least 0, not {self.weight_decay}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UsageError(f"the norm to clip gradients to is above 0, not {self.clip_norm}")

    def updates(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], rate: Tensor) -> dict[str, Tensor]:
        """Return the new values, by name, of all parameters and of the optimizer's state."""
        with scope("optimizer"):
            state = OptimizerState()
            rule = self.rule(state, rate)
            if self.clip_norm is not None:
                gradients = clipped(gradients, self.clip_norm)
            new_values = {name_of(p): rule(p, self.decayed(p, g)) for p, g in zip(parameters, gradients, strict=True)}
            return new_values | state.updates

    def decayed(self, p: Tensor, g: Tensor) -> Tensor:
        """Return the gradient plus that of ½ decay · p²."""
        decay = self.decay_of(p)
        return ops.add(g, ops.multiply(p, decay)) if decay else g

    def decay_of(self, p: Tensor) -> float:
        """Return the weight decay of `p`."""
        return self.weight_decay

    def rule(self, state: OptimizerState, rate: Tensor) -> Rule:
        """Return the update rule for one parameter. Values that all parameters share are computed once."""
        raise NotImplementedError


@renamed_arguments(rates="lr_scales")
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964), or Nesterov's (Sutskever et al. 2013).

    `lr_scales` are factors of the learning rate by the name of the parameter. They do not change the decay per step.
    """

    momentum: float = 0.0
    nesterov: bool = False
    lr_scales: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_fraction("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise UsageError("SGD: Nesterov's rule needs a momentum; give one, such as 0.9")
        if not isinstance(self.lr_scales, Mapping):
            raise UsageError(
                f"SGD: lr_scales maps the names of parameters to factors, and is not {called(self.lr_scales)}"
            )
        for name, factor in self.lr_scales.items():
            if not real(f"SGD: the factor for {name}", factor, finite=False) > 0:
                raise UsageError(f"SGD: the learning rate of {name} is multiplied by a number above 0, not {factor}")

    def decay_of(self, p: Tensor) -> float:
        return self.weight_decay / self.lr_scales.get(name_of(p), 1.0)

    def rule(self, state: OptimizerState, rate: Tensor) -> Rule:
        def update(p: Tensor, g: Tensor) -> Tensor:
            factor = self.lr_scales.get(name_of(p), 1.0)
            scaled_rate = rate if factor == 1 else ops.multiply(rate, factor)
            if not self.momentum:
                return _descend(p, g, scaled_rate)
            velocity = _velocity(state, p, g, self.momentum)
            step = ops.add(g, ops.multiply(velocity, self.momentum)) if self.nesterov else velocity
            return _descend(p, step, scaled_rate)

        return update


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps along the running mean of the gradient over the root of its running square (Kingma & Ba 2015)."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for beta in self.betas:
            _need_fraction("beta", beta)

    def rule(self, state: OptimizerState, rate: Tensor) -> Rule:
        # m / (1 - β₁ᵗ) over √(v / (1 - β₂ᵗ)) + ε, with everything common to all elements moved into two scalars.
        # The state is 1 - βᵗ rather than βᵗ: near 1, in single precision, the difference would lose its digits.
        first, second = self.betas
        mean_correction = state.scalar("bias_correction1", lambda old: _towards(old, 1.0, 1 - first))
        root = ops.sqrt(state.scalar("bias_correction2", lambda old: _towards(old, 1.0, 1 - second)))
        step_size, eps = ops.divide(ops.multiply(rate, root), mean_correction), ops.multiply(root, self.eps)
        shrink = self.shrink(rate)

        def update(p: Tensor, g: Tensor) -> Tensor:
            mean = state.slot(p, "exp_avg", lambda old: _towards(old, g, 1 - first))
            square = state.slot(p, "exp_avg_sq", lambda old: _towards(old, ops.square(g), 1 - second))
            step = ops.divide(mean, ops.add(ops.sqrt(square), eps))
            return _descend(p if shrink is None else ops.multiply(p, shrink), step, step_size)

        return update

    def shrink(self, rate: Tensor) -> Tensor | None:
        """Return the factor by which each parameter is multiplied before its step; None for no factor."""
        return None


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay applied to p directly instead of through g (Loshchilov & Hutter 2019)."""

    weight_decay: float = 1e-2

    def decayed(self, p: Tensor, g: Tensor) -> Tensor:
        return g

    def shrink(self, rate: Tensor) -> Tensor | None:
        return ops.subtract(1.0, ops.multiply(rate, self.weight_decay)) if self.weight_decay else None


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps along the gradient over the root of the sum of all squared gradients (Duchi, Hazan & Singer 2011)."""

    eps: float = 1e-10

    def rule(self, state: OptimizerState, rate: Tensor) -> Rule:
        def update(p: Tensor, g: Tensor) -> Tensor:
            total = state.slot(p, "sum", lambda old: ops.add(old, ops.square(g)))
            return _descend(p, ops.divide(g, ops.add(ops.sqrt(total), self.eps)), rate)

        return update


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps along the gradient over the root of its running square (Tieleman & Hinton 2012), with optional momentum."""

    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_fraction("alpha", self.alpha)
        _need_fraction("momentum", self.momentum)

    def rule(self, state: OptimizerState, rate: Tensor) -> Rule:
        def update(p: Tensor, g: Tensor) -> Tensor:
            square = state.slot(p, "square_avg", lambda old: _towards(old, ops.square(g), 1 - self.alpha))
            step = ops.divide(g, ops.add(ops.sqrt(square), self.eps))
            return _descend(p, _velocity(state, p, step, self.momentum) if self.momentum else step, rate)

        return update


def clipped(gradients: Sequence[Tensor], norm: float) -> list[Tensor]:
    """Scale all gradients by one factor to limit their common norm to `norm` (Pascanu et al. 2013)."""
    gradients = tensors("gradients", gradients)
    total = ops.sqrt(reduce(ops.add, [ops.sum(ops.square(g)) for g in gradients]))
    factor = ops.minimum(ops.divide(norm, ops.add(total, 1e-6)), 1.0)
    return [ops.multiply(g, factor) for g in gradients]


def name_of(tensor: Tensor) -> str:
    """Return the name of a variable."""
    return str(as_tensor("a variable", tensor).node.attrs["name"])


def _descend(p: Tensor, step: Tensor, rate: Tensor) -> Tensor:
    return ops.subtract(p, ops.multiply(step, rate))


def _velocity(state: OptimizerState, p: Tensor, step: Tensor, momentum: float) -> Tensor:
    return state.slot(p, "momentum", lambda old: ops.add(ops.multiply(old, momentum), step))


def _towards(old: Tensor, value: Tensor | float, share: float) -> Tensor:
    """Return `old` moved towards `value` by the fraction `share` of the distance."""
    return ops.add(old, ops.multiply(ops.subtract(value, old), share))


def _need_fraction(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UsageError(f"an optimizer's {name} is at least 0 and below 1, not {value}")
