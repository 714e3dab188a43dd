"""Run a model's network with more outputs: any tensor of its graph, and the gradient of a score for any tensor.

More outputs do not change what is computed: a tensor that is written to memory instead of passed on in a register is
bit-identical. `exact` programs exclude Winograd's algorithm, whose rounding can flip the decisions of ReLU and max
pooling. In float64 the reference engine computes everything, in NumPy: far slower, and without visible rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.backends import reference
from opsin.backends.base import Program, load_known
from opsin.backends.options import CompileOptions, Engine, bound
from opsin.base.concurrency import lazy
from opsin.base.errors import GraphError
from opsin.data.batches import pad_rows
from opsin.data.pixels import Pixels
from opsin.explain.arithmetic.orders import Order, find_orders
from opsin.explain.programs import ProgramCache
from opsin.explain.tensor_groups import value_count
from opsin.ir import Graph, Tensor, bind, input_tensor
from opsin.ir.arguments import one_of
from opsin.model import Model

Floats = NDArray[np.float32]

Weights = Mapping[str, Floats]
"""The weight of every value of every output that counts, by the output's name; N × the output's shape.

A score is the sum of all outputs times their weights: for the logit of a class, a one at its place.
"""

FLOAT32, FLOAT64 = PRECISIONS = ("float32", "float64")

MAX_WIDE = 2**25
"""Numbers that a program may return although fewer are needed: copying more takes longer than compiling another one."""

WEIGHTS = "weights."
"""How the names of the inputs begin that hold the weights of a score."""


@dataclass(frozen=True)
class _Observed:
    """What a program of gradients returns: those of the outputs `names` for `tensors`, and `values`."""

    batch: int
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def numbers(self) -> int:
        """The numbers that a run returns."""
        return self.batch * sum(value_count(t) for t in (*self.tensors, *self.values))

    def includes(self, other: _Observed) -> bool:
        """Whether the program returns all that another one returns."""
        is_alike = self.batch == other.batch and self.names == other.names
        return is_alike and set(other.tensors) <= set(self.tensors) and set(other.values) <= set(self.values)


class Observer:
    """Observes the network of a model on images: uint8 N×C×H×W, as `Model.outputs` takes them.

    The network is run as it was trained, without the mean over mirror images that `tta` adds. `precision` is one of
    `PRECISIONS`: the model's engine computes in float32, the reference engine in float64. Raise `UsageError` for any
    other.
    """

    def __init__(self, model: Model, *, exact: bool = True, precision: str = FLOAT32) -> None:
        self.model, self.graph, self.exact = model, model.graph, exact
        self.precision = one_of("the precision", precision, PRECISIONS)
        self.engine: Engine = model.engine if precision == FLOAT32 else partial(reference.compile, precision=np.float64)
        self._programs = ProgramCache(model.state)

    @lazy
    def values_of_image(self) -> int:
        """The numbers of all tensors that the network computes for one image."""
        tensors = [tensor for node in self.graph.nodes for tensor in node.outputs]
        return sum(value_count(t) for t in tensors if t.rank and not isinstance(t.shape[0], int))

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Run the network with other values of its variables from now on; the model itself does not change."""
        self._programs.load_state(state)

    def release(self) -> None:
        """Release the memory of all programs; they are compiled again when they are needed."""
        self._programs.clear()

    def run(self, pixels: NDArray[np.uint8], tensors: Sequence[Tensor]) -> list[Floats]:
        """Return the values of tensors of the model's graph for images, each N × its shape."""
        return self.run_inputs(self.model.preprocessing.apply(pixels), tensors)

    def run_inputs(self, inputs: Floats, tensors: Sequence[Tensor]) -> list[Floats]:
        """Return the values of `tensors` for normalized images, float32 N×C×H×W."""
        outputs = self.program(len(inputs), tensors).run(inputs=inputs)
        return [outputs[name] for name in _names("tensor", tensors)]

    def run_batches(
        self, pixels: Pixels, numbers: NDArray[np.intp], tensors: Sequence[Tensor], size: int
    ) -> Iterator[tuple[NDArray[np.intp], list[Floats]]]:
        """Yield the `numbers` of up to `size` images at a time, and the values of `tensors` for them."""
        for first in range(0, len(numbers), size):
            part = numbers[first : first + size]
            yield part, [array[: len(part)] for array in self.run(pad_rows(pixels[part], size), tensors)]

    def outputs(self, pixels: NDArray[np.uint8]) -> dict[str, Floats]:
        """Return the network's outputs by name."""
        names, tensors = zip(*self.graph.outputs.items(), strict=True)
        return dict(zip(names, self.run(pixels, tensors), strict=True))

    def gradients(
        self, pixels: NDArray[np.uint8], weights: Weights, tensors: Sequence[Tensor], values: Sequence[Tensor] = ()
    ) -> tuple[Floats, list[Floats], list[Floats]]:
        """Return the score of each image (N), its gradient for each of `tensors`, and the values of `values`.

        The score of an image does not depend on the other images. Raise `GraphError` if it depends on none of
        `tensors`.
        """
        return self.gradients_of_inputs(self.model.preprocessing.apply(pixels), weights, tensors, values)

    def gradients_of_inputs(
        self, inputs: Floats, weights: Weights, tensors: Sequence[Tensor], values: Sequence[Tensor] = ()
    ) -> tuple[Floats, list[Floats], list[Floats]]:
        """Return what `gradients` returns for normalized images, float32 N×C×H×W."""
        wide = self._wide_enough(len(inputs), tuple(weights), tensors, values)
        program = self.gradient_program(len(inputs), tuple(weights), wide.tensors, wide.values)
        outputs = program.run(inputs=inputs, **{WEIGHTS + name: array for name, array in weights.items()})
        names = [f"gradient{wide.tensors.index(t)}" for t in tensors]
        gradients = [
            outputs[name] if name in outputs else np.zeros(bind(t.shape, len(inputs)), np.float32)
            for name, t in zip(names, tensors, strict=True)
        ]
        return outputs["score"], gradients, [outputs[f"value{wide.values.index(t)}"] for t in values]

    def _wide_enough(
        self, batch: int, names: tuple[str, ...], tensors: Sequence[Tensor], values: Sequence[Tensor]
    ) -> _Observed:
        """Return tensors and values that include these, and for which there is a program; these if there is none."""
        wanted = _Observed(batch, names, tuple(tensors), tuple(values))
        known = [key for key in self._programs if isinstance(key, _Observed) and key.includes(wanted)]
        return next((key for key in known if key == wanted or key.numbers <= MAX_WIDE), wanted)

    def program(self, batch: int, tensors: Sequence[Tensor]) -> Program:
        """Return the program whose outputs "tensor0", "tensor1", … are `tensors`."""
        observed = dict(zip(_names("tensor", tensors), tensors, strict=True))
        return self._programs.get((batch, *tensors), lambda: self._unloaded(Graph(self.graph.inputs, observed), batch))

    def gradient_program(
        self, batch: int, names: Sequence[str], tensors: Sequence[Tensor], values: Sequence[Tensor] = ()
    ) -> Program:
        """Return the program of `score_graph`, for weights of the outputs `names`."""
        key = _Observed(batch, tuple(names), tuple(tensors), tuple(values))
        return self._programs.get(key, lambda: self._unloaded(score_graph(self.graph, names, tensors, values), batch))

    def orders(self, batch: int, tensors: Sequence[Tensor]) -> dict[Tensor, Order | None]:
        """Return how `program` sums each of its `tensors`."""
        return dict(zip(tensors, find_orders(self.program(batch, tensors), _names("tensor", tensors)), strict=True))

    def gradient_orders(
        self, batch: int, names: Sequence[str], tensors: Sequence[Tensor], values: Sequence[Tensor]
    ) -> dict[Tensor, Order | None]:
        """Return how `gradient_program` sums each of its `values`."""
        program = self.gradient_program(batch, names, tensors, values)
        return dict(zip(values, find_orders(program, _names("value", values)), strict=True))

    def compiled(self, graph: Graph, batch: int) -> Program:
        """Return `graph` as a program of the engine, with the model's parameters."""
        program = self._unloaded(graph, batch)
        load_known(program, self._programs.state)
        return program

    def _unloaded(self, graph: Graph, batch: int) -> Program:
        return bound(self.engine, CompileOptions(winograd=not self.exact))(graph, batch, self.model.threads)


def compiled(model: Model, graph: Graph, batch: int, winograd: bool = False) -> Program:
    """Return `graph` as a program of the model's engine, by default without Winograd's algorithm."""
    return bound(model.engine, CompileOptions(winograd=winograd))(graph, batch, model.threads)


def score_graph(graph: Graph, names: Sequence[str], tensors: Sequence[Tensor], values: Sequence[Tensor] = ()) -> Graph:
    """Return the graph of a score's gradients: outputs "score" (N), "gradient0", … of `tensors`, and "value0", ….

    Its inputs are those of `graph` and the weights of the outputs `names`. Gradients that are always zero are missing.
    """
    weights = {name: input_tensor(WEIGHTS + name, graph.outputs[name].shape) for name in names}
    products = [ops.multiply(graph.outputs[name], weight) for name, weight in weights.items()]
    scores = reduce(ops.add, [ops.sum(p, axes=tuple(range(1, p.rank))) for p in products])
    gradients = ops.gradients(ops.sum(scores), tensors)
    named = zip(_names("gradient", tensors), gradients, strict=True)
    nonzero = {name: g for name, g in named if g is not None}
    if not nonzero:
        raise GraphError(f"the outputs {', '.join(names)} depend on none of the tensors")
    outputs = {"score": scores, **nonzero, **dict(zip(_names("value", values), values, strict=True))}
    return Graph((*graph.inputs, *weights.values()), outputs).verify_names()


def _names(kind: str, tensors: Sequence[Tensor]) -> list[str]:
    """Return the names of the outputs that hold `tensors`: tensor0, tensor1, …"""
    return [f"{kind}{number}" for number in range(len(tensors))]
