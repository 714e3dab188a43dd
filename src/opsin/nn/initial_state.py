"""First values of variables: a function of the seed and the variable's name, and of nothing else.

A variable carries how it begins as data, its `init`:

| init | value |
|---|---|
| `("zeros",)`, `("ones",)`, `("constant", v)` | the same number everywhere |
| `("values", (v, …))` | the given numbers, in row-major order |
| `("uniform", bound)` | uniform between -bound and bound |
| `("normal", std)` | normal with mean 0 |
| `("identity", std)` | a convolution whose first filters pass on one channel each, unchanged; the rest as `normal` |
| `("seed",)` | the seed itself, as 32 bits |
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import GraphError
from opsin.ir import FLOAT, Graph, Tensor
from opsin.ir.arguments import instance, whole


def initial_state(graph: Graph, seed: int) -> dict[str, NDArray[Any]]:
    """The value each variable of `graph` begins with, float32 or int32, by name.

    Adding, removing or reordering layers changes no other variable's value. Raises `GraphError` for an unknown `init`.
    """
    number = whole("the seed", seed)
    instance("what begins", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    return {name: _initial(name, tensor, number) for name, tensor in graph.variables.items()}


def _initial(name: str, tensor: Tensor, seed: int) -> NDArray[Any]:
    kind, *values = tensor.node.attrs["init"]
    shape = tuple(int(size) for size in tensor.shape if isinstance(size, int))
    dtype = np.float32 if tensor.dtype == FLOAT else np.int32
    match kind:
        case "zeros":
            return np.zeros(shape, dtype)
        case "ones":
            return np.ones(shape, dtype)
        case "constant":
            return np.full(shape, values[0], dtype)
        case "values":
            return np.array(values[0], dtype).reshape(shape)
        case "uniform":
            return _generator(name, seed).uniform(-values[0], values[0], shape).astype(dtype)
        case "normal":
            return _generator(name, seed).normal(0.0, values[0], shape).astype(dtype)
        case "identity":
            return _identity(_generator(name, seed).normal(0.0, values[0], shape).astype(dtype))
        case "seed":
            return np.array(seed % 2**32, np.uint32).view(np.int32)
    raise GraphError(f"variable '{name}' begins as {kind!r}, which is none of the known ways")


def _identity(weight: NDArray[Any]) -> NDArray[Any]:
    """A weight out × in × rows × columns, whose filter i < in becomes 1 in the middle of channel i and else 0."""
    both = np.arange(min(weight.shape[:2]))
    weight[both] = 0
    weight[both, both, weight.shape[2] // 2, weight.shape[3] // 2] = 1
    return weight


def _generator(name: str, seed: int) -> np.random.Generator:
    """Philox, a counter-based generator (Salmon et al. 2011), keyed by seed and name."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
