"""Read the weights of dlib's face recognition network: dlib_face_recognition_resnet_model_v1.dat."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.base.file_types import HEAD, identify
from opsin.interop.dlib.network import SHAPE, FaceResNet
from opsin.interop.dlib.serialization import Serialization
from opsin.ir import Graph
from opsin.ir.checked import checked
from opsin.nn import layer_kinds, trace

LOSS = b"loss_metric_"
"""The name of the outermost layer, at the beginning of the file."""

MAX_BYTES = 2**26

State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class FaceNetwork:
    """A network that gives unit vectors, "embeddings", of faces N × 3 × 150 × 150, with the values of its variables."""

    graph: Graph
    state: State
    layers: dict[str, str]


@checked
def read(path: str | os.PathLike[str]) -> FaceNetwork:
    """Return the network in a file of dlib's. Nothing in it is run; `ModelError` says why a file cannot be used."""
    data = _content(Path(path))
    if LOSS not in data[:HEAD]:
        kind = identify(data[:HEAD])
        found = f"is {kind.what}; {kind.advice or 'give the .dat file'}" if kind else "is no network of dlib's"
        raise ModelError(f"{path} {found}: dlib_face_recognition_resnet_model_v1.dat was expected")
    network = FaceResNet()
    graph = trace(network, SHAPE)
    try:
        state = _weights(Serialization(data), graph)
    except ModelError as error:
        raise ModelError(
            f"{path} {error}; give dlib_face_recognition_resnet_model_v1.dat, as dlib published it"
        ) from None
    return FaceNetwork(graph, state, layer_kinds(network))


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{path} has {size:,} bytes, too many for a network of dlib's")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


def _weights(file: Serialization, graph: Graph) -> State:
    """Return the variables of the graph; a convolution and the affine map after it are one."""
    state: State = {}
    for name, variable in graph.variables.items():
        shape = tuple(int(str(size)) for size in variable.shape)
        if name.endswith(".bias"):
            continue
        if len(shape) == 4:
            state |= _convolution(file, name.removesuffix(".weight"), shape)
        else:
            file.skip_to("fc_2")
            file.integer(), file.integer()  # the numbers of outputs and inputs
            state[name] = np.ascontiguousarray(file.tensor(prod(shape)).reshape(shape[::-1]).T)
    return state


def _convolution(file: Serialization, layer: str, shape: tuple[int, ...]) -> State:
    """Return weight and bias of y = scale · (w * x + b) + shift."""
    filters = shape[0]
    file.skip_to("con_4")
    values = file.tensor(prod(shape) + filters)
    weight, bias = values[:-filters].reshape(shape), values[-filters:]
    file.skip_to("affine_")
    scale, shift = file.tensor(2 * filters).reshape(2, filters)
    return {
        f"{layer}.weight": np.ascontiguousarray(weight * scale[:, None, None, None]),
        f"{layer}.bias": scale * bias + shift,
    }
