"""Optimizers, as updates in the graph, with PyTorch's formulas and defaults.

Each turns parameters p and their gradients g into new values. What it remembers between steps are
variables: `optimizer.<parameter>.<slot>`, shaped like the parameter, and a few scalars. All of them begin at 0.
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
from opsin.ir.checked import settle, tensors
from opsin.ir.checked import tensor as as_tensor

Rule = Callable[[Tensor, Tensor], Tensor]
"""From a parameter and its gradient to the parameter's new value."""


class OptimizerState:
    """The variables of one optimizer, and their new values by name."""

    def __init__(self) -> None:
        self.updates: dict[str, Tensor] = {}

    def slot(self, parameter: Tensor, kind: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """The variable `kind` of `parameter` becomes `rule` of its old value; that new value is returned."""
        like = name_of(parameter)
        return self._set(variable(f"optimizer.{like}.{kind}", parameter.shape, like=like), rule)

    def scalar(self, kind: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """As `slot`, for a number that all parameters share."""
        return self._set(variable(f"optimizer.{kind}", ()), rule)

    def _set(self, old: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        new = self.updates[name_of(old)] = rule(old)
        return new


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What all optimizers do first: `clip_norm` bounds the norm of all gradients together, then `weight_decay` · p is
    added to each.
    """

    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        settle(self, finite=True)
        if self.weight_decay < 0:
            raise UsageError(f"a weight decay is at least 0, not {self.weight_decay}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UsageError(f"the norm to clip gradients to is above 0, not {self.clip_norm}")

    def updates(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], rate: Tensor) -> dict[str, Tensor]:
        """The new value, by name, of every parameter and of everything the optimizer remembers."""
        with scope("optimizer"):
            memory = OptimizerState()
            rule = self.rule(memory, rate)
            if self.clip_norm is not None:
                gradients = clipped(gradients, self.clip_norm)
            new = {name_of(p): rule(p, self.decayed(p, g)) for p, g in zip(parameters, gradients, strict=True)}
            return new | memory.updates

    def decayed(self, p: Tensor, g: Tensor) -> Tensor:
        """The gradient with that of ½ decay · p² added."""
        decay = self.decay_of(p)
        return ops.add(g, ops.multiply(p, decay)) if decay else g

    def decay_of(self, p: Tensor) -> float:
        """How much `p` is decayed."""
        return self.weight_decay

    def rule(self, memory: OptimizerState, rate: Tensor) -> Rule:
        """The update of one parameter; what all parameters share is made once, before."""
        raise NotImplementedError


@renamed_arguments(rates="lr_scales")
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964), or Nesterov's (Sutskever et al. 2013).

    `lr_scales` are factors of the learning rate by the parameter's name; a step decays these as much as the others.
    """

    momentum: float = 0.0
    nesterov: bool = False
    lr_scales: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_share("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise UsageError("SGD: Nesterov's rule needs a momentum; give one, such as 0.9")
        if not isinstance(self.lr_scales, Mapping):
            raise UsageError(f"SGD: lr_scales maps parameters' names to factors, and is not {called(self.lr_scales)}")
        for name, factor in self.lr_scales.items():
            if not real(f"SGD: the factor for {name}", factor, finite=False) > 0:
                raise UsageError(f"SGD: the learning rate of {name} is multiplied by a number above 0, not {factor}")

    def decay_of(self, p: Tensor) -> float:
        return self.weight_decay / self.lr_scales.get(name_of(p), 1.0)

    def rule(self, memory: OptimizerState, rate: Tensor) -> Rule:
        def new(p: Tensor, g: Tensor) -> Tensor:
            factor = self.lr_scales.get(name_of(p), 1.0)
            own = rate if factor == 1 else ops.multiply(rate, factor)
            if not self.momentum:
                return _descend(p, g, own)
            velocity = _velocity(memory, p, g, self.momentum)
            return _descend(p, ops.add(g, ops.multiply(velocity, self.momentum)) if self.nesterov else velocity, own)

        return new


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps of the gradient's running mean over the root of its running square (Kingma & Ba 2015)."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for beta in self.betas:
            _need_share("beta", beta)

    def rule(self, memory: OptimizerState, rate: Tensor) -> Rule:
        # m / (1 - β₁ᵗ) over √(v / (1 - β₂ᵗ)) + ε, with all that is the same for every element moved into two scalars.
        # 1 - βᵗ is kept rather than βᵗ: near 1, in single precision, the difference would lose its digits.
        first, second = self.betas
        mean_part = memory.scalar("bias_correction1", lambda old: _towards(old, 1.0, 1 - first))
        root = ops.sqrt(memory.scalar("bias_correction2", lambda old: _towards(old, 1.0, 1 - second)))
        size, eps = ops.divide(ops.multiply(rate, root), mean_part), ops.multiply(root, self.eps)
        shrink = self.shrink(rate)

        def new(p: Tensor, g: Tensor) -> Tensor:
            mean = memory.slot(p, "exp_avg", lambda old: _towards(old, g, 1 - first))
            square = memory.slot(p, "exp_avg_sq", lambda old: _towards(old, ops.square(g), 1 - second))
            step = ops.divide(mean, ops.add(ops.sqrt(square), eps))
            return _descend(p if shrink is None else ops.multiply(p, shrink), step, size)

        return new

    def shrink(self, rate: Tensor) -> Tensor | None:
        """What each parameter is multiplied by before its step."""
        return None


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, but the weight decay shrinks p by itself instead of entering g (Loshchilov & Hutter 2019)."""

    weight_decay: float = 1e-2

    def decayed(self, p: Tensor, g: Tensor) -> Tensor:
        return g

    def shrink(self, rate: Tensor) -> Tensor | None:
        return ops.subtract(1.0, ops.multiply(rate, self.weight_decay)) if self.weight_decay else None


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps over the root of the sum of all squared gradients so far (Duchi, Hazan & Singer 2011)."""

    eps: float = 1e-10

    def rule(self, memory: OptimizerState, rate: Tensor) -> Rule:
        def new(p: Tensor, g: Tensor) -> Tensor:
            total = memory.slot(p, "sum", lambda old: ops.add(old, ops.square(g)))
            return _descend(p, ops.divide(g, ops.add(ops.sqrt(total), self.eps)), rate)

        return new


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps over the root of the gradient's running square (Tieleman & Hinton 2012), with momentum if asked for."""

    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_share("alpha", self.alpha)
        _need_share("momentum", self.momentum)

    def rule(self, memory: OptimizerState, rate: Tensor) -> Rule:
        def new(p: Tensor, g: Tensor) -> Tensor:
            square = memory.slot(p, "square_avg", lambda old: _towards(old, ops.square(g), 1 - self.alpha))
            step = ops.divide(g, ops.add(ops.sqrt(square), self.eps))
            return _descend(p, _velocity(memory, p, step, self.momentum) if self.momentum else step, rate)

        return new


def clipped(gradients: Sequence[Tensor], norm: float) -> list[Tensor]:
    """All gradients, times the one number that brings their common norm down to `norm` (Pascanu et al. 2013)."""
    gradients = tensors("gradients", gradients)
    total = ops.sqrt(reduce(ops.add, [ops.sum(ops.square(g)) for g in gradients]))
    factor = ops.minimum(ops.divide(norm, ops.add(total, 1e-6)), 1.0)
    return [ops.multiply(g, factor) for g in gradients]


def name_of(tensor: Tensor) -> str:
    """The name of a variable."""
    return str(as_tensor("a variable", tensor).node.attrs["name"])


def _descend(p: Tensor, step: Tensor, rate: Tensor) -> Tensor:
    return ops.subtract(p, ops.multiply(step, rate))


def _velocity(memory: OptimizerState, p: Tensor, step: Tensor, momentum: float) -> Tensor:
    return memory.slot(p, "momentum", lambda old: ops.add(ops.multiply(old, momentum), step))


def _towards(old: Tensor, value: Tensor | float, share: float) -> Tensor:
    """`old`, moved by `share` of the way to `value`."""
    return ops.add(old, ops.multiply(ops.subtract(value, old), share))


def _need_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UsageError(f"an optimizer's {name} is at least 0 and below 1, not {value}")
