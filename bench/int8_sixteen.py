"""Which layers 8 bits cost much: the costliest layer of each model, and what 16 bits for costly inputs save.

    python bench/int8_sixteen.py [MODEL DATA]… [--most 1000] [--json FILE]

A MODEL is a file of Opsin's; ranges are observed on training images of DATA, and errors of the logits measured on
held-out ones, relative to the variance of the logits in float32. The last row is a network with random weights and
images, in which a channel has a range 200 times as wide as those of others, and small weights read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from common import begin, finish, print_table
from int8_accuracy import held_out, models_parser
from numpy.typing import NDArray

import opsin
from opsin import nn
from opsin.backends.native import compile
from opsin.ir import Graph
from opsin.model.int8 import observed_count, spread
from opsin.quantization import adaptive_rounding
from opsin.quantization.adaptive_rounding import adapt_rounding
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.sixteen_bits import relative_error
from opsin.quantization.steps import Product, origins_of

COLUMNS = ("model", "costliest layer", "its error", "inputs with 16 bits", "error of logits, 8 bits", "16 bits")
Array = NDArray[np.float32]


def artificial() -> tuple[str, Graph, dict[str, Array], Array, Array]:
    layers = nn.Conv2d(6, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4)
    graph = nn.trace(nn.Sequential(*layers), (3, 9, 7))
    state, images = nn.initial_state(graph, 0), np.random.default_rng(1).normal(size=(512, 3, 9, 7)).astype(np.float32)
    state["0.weight"][2] *= 200
    state["2.weight"][:, 2] /= 100
    return "one wide channel", graph, state, images[:256], images[256:]


def trained(path: str, source: str, most: int) -> tuple[str, Graph, dict[str, Array], Array, Array]:
    model = opsin.load(path)
    data = opsin.data.load(source, preprocessing=model.preprocessing)
    count = observed_count(model.graph, len(data.train))
    observed = np.asarray(data.train.pixels[spread(len(data.train), count)])
    images = (model.preprocessing.apply(pixels) for pixels in (observed, held_out(data)[:most]))
    return f"{model.network}, {data.name}", model.graph, dict(model.state), *images


def run(graph: Graph, state: dict[str, Array], images: Array) -> Array:
    program = compile(graph, len(images), 1)
    program.load_state({name: state[name] for name in graph.variables})
    (logits,) = program.run(inputs=images).values()
    return logits - logits.mean(axis=1, keepdims=True)


def row(name: str, graph: Graph, state: dict[str, Array], observed: Array, images: Array) -> tuple[str, ...]:
    costs: dict[str, float] = {}
    choose = adaptive_rounding.costly_inputs

    def note(steps, ranges, covariances):  # type: ignore[no-untyped-def]
        origins = origins_of(steps)
        for step in steps:
            if isinstance(step, Product) and step.output in covariances:
                scale = ranges.scale(origins.get(step.inputs[0], step.inputs[0]))
                costs[step.layer] = relative_error(step, scale, covariances[step.output])
        return choose(steps, ranges, covariances)

    adaptive_rounding.costly_inputs = note
    ranges = calibrated(graph, state, observed, compile)
    adapt_rounding(graph, state, ranges, observed, compile)
    adaptive_rounding.costly_inputs = choose
    exact = run(graph, state, images)
    errors = [
        float(((run(*quantize_graph(graph, state, each), images) - exact) ** 2).mean() / exact.var())
        for each in (replace(ranges, wide=set()), ranges)
    ]
    layer = max(costs, key=lambda key: costs[key])
    return name, layer, f"{costs[layer]:.3%}", str(len(ranges.wide)), *(f"{error:.4%}" for error in errors)


def main() -> None:
    arguments = models_parser(__doc__)
    arguments.add_argument("--most", type=int, default=1000, help="images on which errors are measured, at most")
    options = arguments.parse_args()
    record = begin(options)

    def cases() -> Iterator[tuple[str, Graph, dict[str, Array], Array, Array]]:
        for path, source in zip(options.pairs[::2], options.pairs[1::2], strict=True):
            yield trained(path, source, options.most)
        yield artificial()

    finish(options, record | print_table(COLUMNS, [row(*case) for case in cases()]))


if __name__ == "__main__":
    main()
