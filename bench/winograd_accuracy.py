"""Measure the accuracy of Winograd's algorithm in every 3×3 layer of some networks, on the inputs of these layers.

    python bench/winograd_accuracy.py [--networks vgg16 …] [--images PHOTOS] [--batch 2] [--steps 150] [--json FILE]

PHOTOS is anything that `opsin train` takes; without it the built-in digits are enlarged. Weights are He's (normal),
times a factor for each filter and each channel (log-normal, σ 0.5), as training spreads them, and scales and shifts of
batch normalization vary alike, while its statistics are the batch's own. "resnet20_cifar, trained" first takes
`--steps` steps on the images. A training step of the whole network then gives every layer's true input, weights and
output gradient. From these, several implementations compute the output and both gradients of the one layer: native
code, which uses Winograd's algorithm if the heuristic selects it; native code with `winograd=False`; and PyTorch in
float32, if it is installed. They are compared with the definition in float64.

The tables have max |a - b| / max |b| of each layer and of the worst one; the last line has the largest root mean square
of a - b relative to that of b. The exit code is 1 if an error of Winograd's algorithm exceeds 1e-4.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from material import Array, images, trained_state

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.backends.native import Native, compile
from opsin.backends.reference import Reference
from opsin.ir import Graph, Node, input_tensor
from opsin.ops import OPS

try:
    import torch

    from opsin.backends.torch import Torch
except ImportError:
    torch = None

NETWORKS = ("vgg16", "resnet18", "resnet50", "resnet20_cifar", "googlenet", "alexnet")
TRAINED = "resnet20_cifar"
DIRECTIONS = ("forward", "input gradient", "weight gradient")
SPREAD = 0.5
"""Of the logarithm of the factors by which filters, channels and normalized channels differ."""
LIMIT = 1e-4


@dataclass(frozen=True)
class Layer:
    """One 3×3 convolution with what it reads in a training step: x N C H W, w K C 3 3, g N K H' W'."""

    name: str
    node: Node
    x: Array
    w: Array
    g: Array

    @property
    def shape(self) -> str:
        return f"{self.x.shape[1]} → {self.w.shape[0]}, {self.x.shape[2]} × {self.x.shape[3]}"

    def graph(self) -> Graph:
        """Return a graph of the output and both gradients, from inputs."""
        x, w, g = (input_tensor(name, value.shape) for name, value in (("x", self.x), ("w", self.w), ("g", self.g)))
        attrs = self.node.attrs
        found = {
            "forward": OPS["conv2d"](x, w, **attrs).output,
            "input gradient": OPS["conv_transpose2d"](g, w, **attrs, size=self.x.shape[2:]).output,
            "weight gradient": OPS["conv2d_weight"](x, g, **attrs, kernel=self.w.shape[2:]).output,
        }
        return Graph((x, w, g), found)


def spread_state(graph: Graph) -> dict[str, Array]:
    """Return initial values as training might leave them; see the docstring of this file."""
    rng = np.random.default_rng(0)

    def factors(count: int) -> Array:
        """Return factors with a mean square of 1."""
        return np.exp(rng.normal(-(SPREAD**2), SPREAD, count))

    state = dict(nn.initial_state(graph, seed=0))
    for name, value in state.items():
        if value.ndim == 4 and graph.variables[name].node.attrs["trainable"]:
            filters, channels, *kernel = value.shape
            drawn = rng.normal(0, np.sqrt(2 / (channels * np.prod(kernel))), value.shape)
            state[name] = drawn * factors(filters)[:, None, None, None] * factors(channels)[:, None, None]
        elif value.ndim == 1 and name.endswith(".weight"):
            state[name] = factors(len(value))
        elif name.removesuffix("bias") + "weight" in state and state[name.removesuffix("bias") + "weight"].ndim == 1:
            state[name] = rng.normal(0, 0.3, len(value))
    return state


def layers(graph: Graph, state: Mapping[str, Array], x: Array, labels: Array, threads: int) -> Iterator[Layer]:
    """Yield the 3×3 convolutions of stride 1 with their operands in a step without Winograd's algorithm."""
    bound = graph.bind(len(x))
    gradients = {node.scope: node for node in bound.nodes if node.op.name == "conv2d_weight"}
    found = [
        node for node in bound.nodes
        if node.op.name == "conv2d" and node.inputs[1].shape[2:] == (3, 3) and node.attrs["stride"] == (1, 1)
        and node.attrs["groups"] == 1 and node.scope in gradients
    ]  # fmt: skip
    outputs = {}
    for number, node in enumerate(found):
        outputs[f"{number} x"], outputs[f"{number} w"] = node.inputs
        outputs[f"{number} g"] = gradients[node.scope].inputs[1]
    program = compile(Graph(bound.inputs, outputs, {}), len(x), threads, winograd=False)
    program.load_state({name: state[name] for name in program.graph.variables})
    inputs = {"inputs": x, "labels": labels, "learning_rate": 0.0}
    values = program.run(**{t.node.attrs["name"]: inputs[t.node.attrs["name"]] for t in program.graph.inputs})
    for number, node in enumerate(found):
        yield Layer(node.scope, node, *(values[f"{number} {which}"] for which in "xwg"))


def errors(found: Array, expected: Array) -> dict[str, float]:
    """Return the largest difference and the root mean square of all, relative to those of the values."""
    difference = found.astype(np.float64) - expected
    return {
        "largest": float(np.abs(difference).max() / np.abs(expected).max()),
        "mean square": float(np.sqrt(np.square(difference).mean() / np.square(expected).mean())),
    }


def implementations(threads: int) -> dict[str, Callable[[Graph], Program]]:
    found: dict[str, Callable[[Graph], Program]] = {
        "Winograd": lambda graph: compile(graph, 1, threads),
        "direct": lambda graph: compile(graph, 1, threads, winograd=False),
    }
    if torch:
        found["PyTorch"] = lambda graph: Torch(graph, 1, dtype=torch.float32)
    return found


def takes_winograd(program: Program) -> bool:
    return isinstance(program, Native) and any(type(c.spec).__name__.startswith("Winograd") for c in program.plan.calls)


def measure(layer: Layer, threads: int) -> dict[str, Any] | None:
    """Return the errors by implementation and direction; None if the compiler does not select Winograd's algorithm."""
    graph, inputs = layer.graph(), {"x": layer.x, "w": layer.w, "g": layer.g}
    expected = None
    found: dict[str, Any] = {"layer": layer.name, "shape": layer.shape}
    for kind, compiled in implementations(threads).items():
        program = compiled(graph)
        if kind == "Winograd" and not takes_winograd(program):
            return None
        expected = expected or Reference(graph, 1, np.float64).run(**inputs)
        results = program.run(**inputs)
        found[kind] = {direction: errors(results[direction], expected[direction]) for direction in DIRECTIONS}
    return found


def network_errors(name: str, path: str | None, batch: int, steps: int, threads: int) -> list[dict[str, Any]]:
    entry = zoo.find(name.partition(",")[0])
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD(momentum=0.9))
    trained = name.endswith("trained")
    state = trained_state(graph, path, entry.input_shape, steps, threads) if trained else spread_state(graph)
    x, labels = images(path, batch, entry.input_shape)
    found = (measure(layer, threads) for layer in layers(graph, state, x, labels, threads))
    return [result for result in found if result]


def show(name: str, results: Sequence[dict[str, Any]], kinds: Sequence[str]) -> None:
    print(f"\n{name}: {len(results)} layers, largest error")
    heads = ["layer", "channels, size", *(f"{direction} {kind}" for direction in DIRECTIONS for kind in kinds)]
    rows = [
        [r["layer"], r["shape"], *(f"{r[kind][d]['largest']:.1e}" for d in DIRECTIONS for kind in kinds)]
        for r in results
    ]
    print_table(heads, rows)


def worst(results: Sequence[dict[str, Any]], kind: str, direction: str, measure: str) -> float:
    return max(result[kind][direction][measure] for result in results)


def scientific(number: float) -> str:
    """Return a number such as 4.1 · 10⁻⁶."""
    digits, exponent = f"{number:.1e}".split("e")
    return f"{digits} · 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=[*NETWORKS, f"{TRAINED}, trained"], metavar="NAME")
    command.add_argument("--images", metavar="PHOTOS")
    command.add_argument("--batch", type=int, default=2, metavar="N")
    command.add_argument("--steps", type=int, default=150, metavar="N")
    command.add_argument("--threads", type=int, default=2, metavar="N")
    options = command.parse_args()
    record = begin(options)
    record["networks"] = found = {}
    kinds = list(implementations(options.threads))
    for name in options.networks:
        found[name] = network_errors(name, options.images, options.batch, options.steps, options.threads)
        show(name, found[name], kinds)
    print("\nlargest error in the worst layer of each network")
    heads = ["network", *(f"{direction}, {kind}" for direction in DIRECTIONS for kind in kinds)]
    rows = [
        [name, *(scientific(worst(results, kind, d, "largest")) for d in DIRECTIONS for kind in kinds)]
        for name, results in found.items()
    ]
    table = print_table(heads, rows)
    squares = [worst(results, "Winograd", d, "mean square") for results in found.values() for d in DIRECTIONS]
    print(f"\nroot mean square of a layer with Winograd's algorithm: at most {scientific(max(squares))}")
    finish(options, record | table)
    return int(any(worst(r, "Winograd", d, "largest") > LIMIT for r in found.values() for d in DIRECTIONS))


if __name__ == "__main__":
    sys.exit(main())
