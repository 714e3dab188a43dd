"""Initial values of variables: a function of the seed and the name of the variable alone.

A variable carries its initializer as data, in the attribute `init`:

| init | value |
|---|---|
| `("zeros",)`, `("ones",)`, `("constant", v)` | the same number everywhere |
| `("values", (v, …))` | these numbers, in row-major order |
| `("uniform", bound)` | uniform between -bound and bound |
| `("normal", std)` | normal with mean 0 |
| `("identity", std)` | a convolution whose first filters each copy one channel; the other filters as `normal` |
| `("seed",)` | the seed itself, as 32 bits |
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import GraphError
from opsin.ir.arguments import instance, whole
from opsin.ir.core import WHOLE_DTYPES, Tensor
from opsin.ir.graph import Graph


def initial_state(graph: Graph, seed: int) -> dict[str, NDArray[Any]]:
    """Return the initial value of each variable of `graph`, float32, int32 or int8, by name.

    Adding, removing or reordering layers does not change the values of other variables. Raise `GraphError` if an `init`
    is unknown.
    """
    seed = whole("the seed", seed)
    instance("the graph to initialise", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    return {name: _initial_value(name, tensor, seed) for name, tensor in graph.variables.items()}


def _initial_value(name: str, tensor: Tensor, seed: int) -> NDArray[Any]:
    kind, *values = tensor.node.attrs["init"]
    shape = tuple(int(size) for size in tensor.shape if isinstance(size, int))
    dtype = np.dtype(WHOLE_DTYPES.get(tensor.dtype, "float32"))
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
    raise GraphError(f"variable '{name}' has the unknown init {kind!r}; see opsin.ir.initial_state for the known ones")


def _identity(weight: NDArray[Any]) -> NDArray[Any]:
    """Make filter i < in of a weight, out × in × rows × columns, 1 at the centre of channel i and 0 elsewhere."""
    diagonal = np.arange(min(weight.shape[:2]))
    weight[diagonal] = 0
    weight[diagonal, diagonal, weight.shape[2] // 2, weight.shape[3] // 2] = 1
    return weight


def _generator(name: str, seed: int) -> np.random.Generator:
    """Return a generator keyed by seed and name: Philox, which is counter-based (Salmon et al. 2011)."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
