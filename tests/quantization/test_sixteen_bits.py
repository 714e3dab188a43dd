"""Results with 16 bits: chosen where 8 bits cost a layer too much, more exact, and bit-identical on every engine."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import compile as native
from opsin.backends.reference import Reference
from opsin.backends.reference import compile as reference
from opsin.ir import Graph, initial_state
from opsin.kernels.ir import PORTABLE, PORTABLE_SMALL
from opsin.ops import OPS
from opsin.quantization.adaptive_rounding import adapt_rounding
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.ranges import Ranges
from opsin.quantization.record import ranges_from_data, ranges_to_data
from opsin.quantization.rewrite import Rewriter
from opsin.quantization.simulation import simulate_graph
from opsin.quantization.sixteen_bits import scales_of
from opsin.quantization.steps import Product
from tests.quantization.networks import Array
from tests.quantization.test_quantize import noise, run


@pytest.fixture(scope="module")
def wide() -> tuple[Graph, dict[str, Array], Array, Ranges]:
    """A network in which a channel has a range that is 200 times as wide as those of others, and small weights."""
    network = nn.Sequential(
        nn.Conv2d(6, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4),
    )  # fmt: skip
    graph = nn.trace(network, (3, 9, 7))
    state, rng = initial_state(graph, 0), np.random.default_rng(1)
    state["0.weight"][2] *= 200
    state["2.weight"][:, 2] /= 100
    images = rng.normal(size=(32, 3, 9, 7)).astype(np.float32)
    ranges = calibrated(graph, state, images, reference)
    adapt_rounding(graph, state, ranges, images, reference)
    return graph, state, images, ranges


def test_only_costly_inputs_have_16_bits(wide: tuple[Graph, dict[str, Array], Array, Ranges]) -> None:
    graph, state, images, ranges = wide
    first = steps_of(graph, state)[0]
    assert ranges.wide == {first.output}
    exact = run(graph, state, images)
    narrow, found = (
        noise(run(*quantize_graph(graph, state, each), images), exact) for each in (replace(ranges, wide=set()), ranges)
    )
    assert found < 0.35 * narrow
    again = ranges_from_data(json.loads(json.dumps(ranges_to_data(ranges, graph))), graph)
    assert again.wide == ranges.wide
    simulation = simulate_graph(graph, state, ranges)
    assert noise(run(simulation.graph, simulation.state, images), exact) < 0.35 * narrow


def test_every_engine_computes_the_same_bits(wide: tuple[Graph, dict[str, Array], Array, Ranges]) -> None:
    graph, state, _, ranges = wide
    both = replace(ranges, wide={*ranges.wide, *graph.inputs, *(s.inputs[0] for s in steps_of(graph, state)[1:])})
    normalization = np.full(3, 1 / 64, np.float32), np.full(3, -2, np.float32)
    whole, variables = quantize_graph(graph, state, both, normalization=normalization)
    assert sum(node.op.name == "join_bytes" for node in whole.nodes) == 3
    assert not any(node.op.name in ("quantize", "dequantize") for node in whole.nodes)
    pixels = np.random.default_rng(2).integers(-128, 127, (2, 3, 9, 7), np.int8, endpoint=True)
    expected = run(whole, variables, pixels)
    for target in (None, PORTABLE, PORTABLE_SMALL):
        program = native(whole, 2, 1, target=target)
        program.load_state(variables)
        np.testing.assert_array_equal(program.run(inputs=pixels)["logits"], expected)


def test_real_numbers_are_split_into_bytes(wide: tuple[Graph, dict[str, Array], Array, Ranges]) -> None:
    graph, state, images, ranges = wide
    rewriter = Rewriter(graph, state, replace(ranges, wide=set(graph.inputs)))
    rewriter.rewritten(steps_of(graph, state))
    parts = rewriter.bytes[graph.inputs[0]]
    program = Reference(Graph(graph.inputs, {"high": parts.high, "low": parts.low}), len(images))
    high, low = program.run(inputs=images).values()
    numbers = (256.0 * high + low - parts.scale.zero) * parts.scale.step
    assert np.abs(numbers - images).max() <= 1.01 * parts.scale.step < 1e-3


def test_16_bit_sums_fit_into_32_bits(wide: tuple[Graph, dict[str, Array], Array, Ranges]) -> None:
    graph, state, _, ranges = wide
    steps = steps_of(graph, state)
    (scale,) = scales_of(steps, ranges).values()
    terms = max(step.weight[0].size for step in steps if isinstance(step, Product) and step.inputs[0] in ranges.wide)
    assert scale.greatest * 127 * terms < 2**31 and scale.greatest > 2**13 and scale.zero % 256 == 0
    layers = [step.layer for step in steps if isinstance(step, Product)]
    assert not scales_of([s for s in steps if s.layer != layers[1]], ranges), "nothing reads it as integers"


def test_bytes_of_all_16_bit_integers() -> None:
    q = np.arange(-32639, 32640, dtype=np.int32)
    high, low = (OPS[f"{name}_byte"].evaluate(q) for name in ("high", "low"))
    assert high.dtype == low.dtype == np.int8
    assert np.array_equal(OPS["join_bytes"].evaluate(high, low), q)
