"""The quantization of a graph: images give the ranges, and the ranges the graph of 8-bit integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Graph
from opsin.quantization.calibration import ranges_of
from opsin.quantization.partition import steps_of
from opsin.quantization.ranges import Engine, Ranges
from opsin.quantization.rewrite import Normalization, Rewriter, State


def calibrated(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    images: NDArray[np.float32],
    engine: Engine,
    threads: int | None = None,
) -> Ranges:
    """Return the ranges of a network's results for normalized images N × C × H × W."""
    return ranges_of(graph, state, steps_of(graph, state), images, engine, threads)


def quantize_graph(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    ranges: Ranges,
    float_layers: Collection[str] = (),
    normalization: Normalization | None = None,
) -> tuple[Graph, State]:
    """Return the graph of 8-bit integers with the inputs and outputs of `graph`, and its variables.

    With a `normalization`, the input is pixels minus 128 as 8-bit integers instead of normalized images.

    The layers in `float_layers`, and what has no integer arithmetic, are computed in float32.
    """
    return Rewriter(graph, state, ranges, float_layers, normalization).rewritten(steps_of(graph, state))
