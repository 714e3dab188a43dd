"""Cases of every operation, as graphs that any engine can run."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import FLOAT, INT, INT8, Graph, Tensor, input_tensor
from opsin.ops import OPS, Sample

Array = NDArray[Any]

CONVERSIONS = {"quantize", "dequantize", "rescale", "high_byte", "low_byte", "join_bytes"}
QUANTIZED = sorted(name for name in OPS if "int8" in name or "int32" in name or name in CONVERSIONS)
"""The operations on 8-bit integers."""


def generator(*names: str) -> np.random.Generator:
    """Random numbers that depend on `names` alone, so that no test changes another's cases."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def cases(op_name: str, rng: np.random.Generator, count: int) -> list[Sample]:
    """`count` random cases of the operation `op_name`, float64 or whole numbers: odd sizes, up to 40 channels."""
    return list(islice(OPS[op_name].samples(rng), count))


def dtype_of(array: Array) -> str:
    """The dtype of a tensor that holds the array."""
    return INT8 if array.dtype == np.int8 else INT if array.dtype.kind == "i" else FLOAT


def symbolic(arrays: Sequence[Array]) -> tuple[Tensor, ...]:
    """Graph inputs x0, x1, … of the arrays' shapes and dtypes."""
    return tuple(input_tensor(f"x{i}", array.shape, dtype_of(array)) for i, array in enumerate(arrays))


def feed(arrays: Sequence[Array]) -> dict[str, Array]:
    """The arrays under the names that `symbolic` gave them."""
    return {f"x{i}": array for i, array in enumerate(arrays)}


def forward_graph(op_name: str, sample: Sample) -> Graph:
    """Inputs x0, x1, … → output y."""
    inputs = symbolic(sample.inputs)
    return Graph(inputs, {"y": OPS[op_name](*inputs, **sample.attrs).output})


def backward_graph(inputs: tuple[Tensor, ...], y: Tensor, wrt: Sequence[int]) -> Graph:
    """Inputs x0, x1, … and g (like y) → outputs y, loss = Σ g · y, and d0, d1, …: its gradients by the inputs `wrt`."""
    g = input_tensor("g", y.shape)
    loss = ops.sum(ops.multiply(y, g))
    grads = ops.gradients(loss, [inputs[i] for i in wrt])
    found = {f"d{i}": grad for i, grad in zip(wrt, grads, strict=True) if grad is not None}
    return Graph((*inputs, g), {"y": y, "loss": loss, **found})


def relative_error(found: Array, expected: Array) -> float:
    """The largest difference, relative to the largest number expected; 0 for two nothings."""
    assert np.shape(found) == np.shape(expected), f"{np.shape(found)} is not {np.shape(expected)}"
    if np.size(expected) == 0:
        return 0.0
    difference = float(np.max(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64))))
    return difference / max(float(np.max(np.abs(expected))), 1e-30) if difference else 0.0
