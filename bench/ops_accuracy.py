"""How exact every operation is, on random samples of odd shapes.

    python bench/ops_accuracy.py [OP ...] [--samples 60] [--seed 0] [--json FILE]

Worst relative errors, a row an operation:

- native: machine code, in float32, against the reference engine in float64, on the same inputs rounded to float32; a
  third of the samples on one thread, on two and on three.
- gradient: the slope along a random direction from backpropagation, in float64 on the reference engine, against
  central differences there: the closest of four steps, as a long one may cross a kink, and a short one drown in
  rounding.
- PyTorch: PyTorch's own operators in float64 against the reference engine in float64 (without PyTorch: left out).

Native and PyTorch: max |a - b| / max |b| of a sample; gradient: |a - b| / Σ |gᵢ vᵢ| for the slope Σ gᵢ vᵢ. A dash: the
operation is not differentiable.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

from opsin import ops
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.ir import FLOAT, INT, Graph, Tensor, input_tensor
from opsin.ops import OPS, Sample

try:
    import torch

    from opsin.backends.torch import Torch
except ImportError:
    torch = None

Array = NDArray[Any]

REAL = sorted(name for name, op in OPS.items() if ".quantized." not in type(op).__module__)
"""The operations on real numbers; those on 8-bit integers are exact."""

STEPS = (1e-4, 1e-5, 1e-6, 1e-7)
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""The derivative from values at these multiples of the step, with these weights."""


def symbolic(arrays: Sequence[Array]) -> tuple[Tensor, ...]:
    """Graph inputs x0, x1, … of the arrays' shapes."""
    kinds = (INT if array.dtype.kind == "i" else FLOAT for array in arrays)
    return tuple(input_tensor(f"x{i}", a.shape, kind) for i, (a, kind) in enumerate(zip(arrays, kinds, strict=True)))


def run(program: Program, arrays: Sequence[Array], **more: Array) -> dict[str, Array]:
    return program.run(**{f"x{i}": array for i, array in enumerate(arrays)}, **more)


def relative_error(found: Array, expected: Array) -> float:
    """max |found - expected| / max |expected|; infinite where only one of two numbers is finite."""
    odd = ~np.isfinite(expected)
    if not np.array_equal(found[odd], expected[odd], equal_nan=expected.dtype.kind == "f"):
        return float("inf")
    difference = np.abs(np.subtract(found, expected, dtype=np.float64, where=~odd, out=np.zeros(expected.shape)))
    worst = float(difference.max(initial=0.0))
    return worst / max(float(np.abs(expected[~odd]).max(initial=0.0)), 1e-30) if worst else 0.0


def native_error(graph: Graph, sample: Sample, number: int) -> float:
    """Machine code against the definition; every other sample takes the first axis for the batch."""
    rounded = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in sample.inputs]
    first = next((a.shape[0] for a in rounded if a.ndim), 1)
    batch = first if number % 2 else 1
    found = run(compile_native(graph, batch, threads=1 + number % 3), rounded)["y"]
    return relative_error(found, run(Reference(graph, batch, np.float64), rounded)["y"])


def gradient_error(name: str, sample: Sample, rng: np.random.Generator) -> float:
    """Backpropagation against central differences, along a random direction of each input."""
    inputs = symbolic(sample.inputs)
    y = OPS[name](*inputs, **sample.attrs).output
    weights = input_tensor("g", y.shape)
    loss = ops.sum(ops.multiply(y, weights))
    gradients = ops.gradients(loss, [inputs[i] for i in sample.differentiable])
    results = {f"d{i}": g for i, g in zip(sample.differentiable, gradients, strict=True) if g is not None}
    forward, backward = Graph((*inputs, weights), {"loss": loss}), Graph((*inputs, weights), results)
    g, worst = np.asarray(rng.standard_normal(y.shape)), 0.0
    found, program = run(Reference(backward, 1, np.float64), sample.inputs, g=g), Reference(forward, 1, np.float64)
    for index in sample.differentiable:
        way = rng.uniform(-1, 1, sample.inputs[index].shape)
        slopes = found[f"d{index}"] * way if f"d{index}" in found else np.zeros(1)
        errors = []
        for step in STEPS:
            numeric = 0.0
            for place, weight in STENCIL:
                moved = list(sample.inputs)
                moved[index] = moved[index] + place * step * way
                numeric += weight / step * float(run(program, moved, g=g)["loss"])
            errors.append(abs(float(slopes.sum()) - numeric))
        worst = max(worst, min(errors) / max(float(np.abs(slopes).sum()), 1e-3))
    return worst


def torch_error(graph: Graph, sample: Sample) -> float:
    """PyTorch against the definition, both in float64."""
    found = run(Torch(graph, 1, dtype=torch.float64), sample.inputs)["y"]
    return relative_error(found, run(Reference(graph, 1, np.float64), sample.inputs)["y"])


def measure(name: str, count: int, seed: int) -> dict[str, Any]:
    """The worst errors of the operation `name`, and how many samples each comes from."""
    rng = np.random.default_rng([seed, *name.encode()])
    errors: dict[str, list[float]] = {"native": [], "gradient": [], "PyTorch": []}
    for number, sample in enumerate(islice(OPS[name].samples(rng), count)):
        inputs = symbolic(sample.inputs)
        graph = Graph(inputs, {"y": OPS[name](*inputs, **sample.attrs).output})
        errors["native"].append(native_error(graph, sample, number))
        if sample.differentiable:
            errors["gradient"].append(gradient_error(name, sample, rng))
        if torch:
            errors["PyTorch"].append(torch_error(graph, sample))
    return {kind: max(values) if values else None for kind, values in errors.items()}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("ops", nargs="*", metavar="OP", help="only these (all where none is given)")
    options.add_argument("--samples", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    if torch:
        torch.set_num_threads(1)
    record = begin(chosen)
    with tempfile.TemporaryDirectory() as cache:  # thousands of kernels that are not needed again
        os.environ["OPSIN_CACHE"] = cache
        errors = {name: measure(name, chosen.samples, chosen.seed) for name in chosen.ops or REAL}
    kinds = ("native", "gradient", "PyTorch")
    errors["worst of all"] = {k: max((e[k] for e in errors.values() if e[k] is not None), default=None) for k in kinds}
    rows = [(name, *("–" if row[k] is None else f"{row[k]:.1e}" for k in kinds)) for name, row in errors.items()]
    print(f"{chosen.samples} samples of each operation; worst relative errors")
    table = print_table(("operation", *kinds), rows)
    finish(chosen, {**record, **table, "errors": errors})


if __name__ == "__main__":
    main()
