"""The optimizer's update of one weight, operation by operation, as the training graph computes it in float32.

The table is read off the graph that the optimizer itself builds for one number, so it is what the engine computes: each
operation is rounded to float32 by itself; none are fused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opsin.base.concurrency import locked_cache
from opsin.base.formatting import decimal
from opsin.explain.arithmetic.evaluate import FUNCTIONS
from opsin.explain.backpropagation.backward import Backward, Floats, Pass
from opsin.explain.backpropagation.flat_update import CHUNK, FlatUpdate
from opsin.ir import INPUT, VARIABLE, Graph, Node, Tensor, input_tensor, variable
from opsin.nn.optimizers import SGD, Adagrad, Adam, Optimizer


@dataclass(frozen=True)
class Rule:
    """An optimizer with the learning rate that its table starts from, its name, and its formula in words."""

    key: str
    name: str
    optimizer: Optimizer
    rate: float
    formula: str
    words: str


RULES = (
    Rule(
        "gradient descent", "Gradient descent", SGD(), 0.01, "w ← w − η · g",
        "The weight moves against its gradient g, by the learning rate η times as far.",
    ),
    Rule(
        "momentum", "SGD with momentum", SGD(momentum=0.9), 0.01, "v ← 0.9 · v + g,  w ← w − η · v",
        "A velocity v keeps 90% of its value in every step, so that steps in the same direction add up (Polyak 1964).",
    ),
    Rule(
        "adam", "Adam", Adam(), 0.001, "m ← m + 0.1 · (g − m),  s ← s + 0.001 · (g² − s),  w ← w − η · m̂ / (√ŝ + ε)",
        "The running mean m of the gradient is divided by the root of its running square s. Both start at 0, which the "
        "corrections c₁ and c₂ make up for (Kingma & Ba 2015).",
    ),
    Rule(
        "adagrad", "Adagrad", Adagrad(), 0.01, "s ← s + g²,  w ← w − η · g / (√s + ε)",
        "The gradient is divided by the root of the sum s of all its squares so far: steps become shorter "
        "(Duchi, Hazan & Singer 2011).",
    ),
)  # fmt: skip

SYMBOLS = {
    "learning_rate": "η", "gradient": "g", "w": "w", "optimizer.w.momentum": "v", "optimizer.w.exp_avg": "m",
    "optimizer.w.exp_avg_sq": "s", "optimizer.w.sum": "s", "optimizer.bias_correction1": "c₁",
    "optimizer.bias_correction2": "c₂",
}  # fmt: skip
"""What the variables and inputs of an optimizer are called in a table."""
SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "/"}


@dataclass(frozen=True)
class UpdateOperation:
    """One operation of a table: `symbol` = `operation`(`operands`), names of earlier rows or numbers.

    `formula` says it as text, such as "g − m"; `updates` is the name of the variable that takes the result, or empty.
    """

    symbol: str
    operation: str
    operands: tuple[str | float, ...]
    formula: str
    updates: str = ""


@locked_cache()
def operations(optimizer: Optimizer) -> tuple[UpdateOperation, ...]:
    """Return the operations of an optimizer's step for one number, in the order of its graph."""
    rows: list[UpdateOperation] = []
    graph = _scalar_graph(optimizer)
    names: dict[Tensor, str | float] = {}
    new_values = {tensor: name for name, tensor in graph.updates.items()}
    for node in graph.nodes:
        tensor = node.output
        if node.op in (INPUT, VARIABLE):
            names[tensor] = SYMBOLS[node.attrs["name"]]
        elif node.op.name == "constant":
            names[tensor] = float(node.attrs["value"])
        else:
            updated = SYMBOLS[new_values[tensor]] if tensor in new_values else ""
            symbol = f"{updated} new" if updated else f"t{_subscript(1 + sum(not row.updates for row in rows))}"
            operands = tuple(names[t] for t in node.inputs)
            names[tensor] = symbol
            rows.append(UpdateOperation(symbol, node.op.name, operands, _formula(node, operands), updated))
    return tuple(rows)


def state_symbols(optimizer: Optimizer) -> tuple[str, ...]:
    """Return the symbols of an optimizer's state, which starts at 0."""
    return tuple(SYMBOLS[name] for name in _scalar_graph(optimizer).updates if name != "w")


def table(
    optimizer: Optimizer, weight: np.float32, gradient: np.float32, rate: float, state: Mapping[str, np.float32] = {}
) -> dict[str, np.float32]:
    """Return the value of every symbol of one step in float32, with those of the state before it (0 by default)."""
    values = {symbol: np.float32(state.get(symbol, 0)) for symbol in state_symbols(optimizer)}
    values |= {"w": np.float32(weight), "g": np.float32(gradient), "η": np.float32(rate)}
    for row in operations(optimizer):
        operands = [values[o] if isinstance(o, str) else np.float32(o) for o in row.operands]
        with np.errstate(all="ignore"):  # NaN and infinity show in the table
            values[row.symbol] = np.float32(FUNCTIONS[row.operation](*operands))
    return values


def state_after(optimizer: Optimizer, values: Mapping[str, np.float32]) -> dict[str, np.float32]:
    """Return the optimizer's state after a step with these `values` of a table."""
    return {symbol: values[f"{symbol} new"] for symbol in state_symbols(optimizer)}


Selection = Mapping[str, Callable[[Floats], Floats]]
"""What to keep of the arrays of each parameter, by its name; others are left out."""


class Updates:
    """What the engine makes of all parameters in two steps of an optimizer, each on the same image."""

    def __init__(self, backward: Backward, step: Pass) -> None:
        self.backward, self.case = backward, step.case
        self.first = {name: step.gradients[t] for name, t in backward.parameters.items() if t in step.gradients}

    def steps(self, rule: Rule, selection: Selection | None = None) -> tuple[Step, Step]:
        """Return both steps with the rule's learning rate. The gradient of the second one is that after the first.

        With a `selection`, the steps have only these parts of these parameters. A large network needs one: Adam alone
        has three arrays of each parameter.
        """
        backward, state = self.backward, self.backward.model.state
        update = FlatUpdate(backward.update_program(rule.optimizer, CHUNK), np.float32(rule.rate))
        kept: Selection = selection if selection is not None else dict.fromkeys(self.first, np.asarray)

        def selected(arrays: Mapping[str, Floats]) -> dict[str, Floats]:
            return {name: take(arrays[name]) for name, take in kept.items()}

        gradients = selected(self.first)
        first = Step(gradients, update(selected(state), gradients, {}))
        weights = first.state if selection is None else update.weights(state, self.first)
        after = backward.parameter_gradients(self.case, {**state, **weights})
        gradients = selected(after)
        return first, Step(gradients, update({name: first.state[name] for name in kept}, gradients, first.state))


@dataclass(frozen=True, eq=False)
class Step:
    """One step of all parameters: their gradients before it, and the engine's variables after it, by name."""

    gradients: Mapping[str, Floats]
    state: Mapping[str, Floats]


def _scalar_graph(optimizer: Optimizer) -> Graph:
    weight = variable("w", (), trainable=True)
    gradient, rate = input_tensor("gradient", ()), input_tensor("learning_rate", ())
    return Graph((gradient, rate), {}, optimizer.updates([weight], [gradient], rate))


def _formula(node: Node, operands: Sequence[str | float]) -> str:
    words = [o if isinstance(o, str) else decimal(o, ".9g") for o in operands]
    if node.op.name in SIGNS:
        if node.op.name == "multiply" and words[0] == words[1]:
            return f"{words[0]}²"
        return f" {SIGNS[node.op.name]} ".join(words)
    return f"√{words[0]}" if node.op.name == "sqrt" else f"{node.op.name}({', '.join(words)})"


def _subscript(number: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(number))
