"""Published networks that compare images, as models of the task identity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from opsin import ops
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.errors import ModelError
from opsin.data import Preprocessing
from opsin.interop import dlib, onnx
from opsin.ir import BATCH, Graph, show
from opsin.ir.arguments import path as sound_path
from opsin.ir.checked import checked
from opsin.model.loading import load
from opsin.model.model import Model
from opsin.model.onnx_import import import_onnx
from opsin.nn.metric_losses import unit_vectors
from opsin.tasks.identity import Identity
from opsin.tasks.identity.calibration import SameThreshold

TEMPLATE = "face_template"
"""The entry of a model's record that names how faces are aligned for it."""

DLIB_MEAN, DLIB_RANGE = (122.782, 117.001, 104.298), 256
"""What is subtracted from red, green and blue, and what the result is divided by (dlib/dnn/input.h)."""

DLIB_THRESHOLD = SameThreshold(0.9028, 99.46, -89.79, 500, 500, 0.034, 0.038)
"""Fitted to the pairs of pairsDevTest of Labeled Faces in the Wild, aligned images of 64 × 64 (bench/faces.py)."""

FACE_SHAPE = (3, 112, 112)
"""The images of networks in ONNX files: those of ArcFace and its successors."""

HALVES = (0.5,) * 3


@checked
def import_embedding(
    path: str | os.PathLike[str], *, engine: Engine = compile_native, threads: int | None = None
) -> Model:
    """Return the model of identities in a file: of Opsin, dlib's face recognition network (.dat), or ONNX.

    An ONNX file of another program takes RGB images of 112 × 112 with values from -1 to 1, and has one output,
    N × dimensions, of which unit vectors are made. Raise `ModelError` for other files.
    """
    place = Path(sound_path("the model's file", path))
    if place.suffix.lower() == ".dat":
        return import_dlib(place, engine=engine, threads=threads)
    if place.suffix.lower() != ".onnx":
        return load(place, engine, threads)
    if onnx.is_own(place):
        return import_onnx(place, engine=engine, threads=threads)
    return _import_onnx(place, engine, threads)


def import_dlib(path: str | os.PathLike[str], *, engine: Engine = compile_native, threads: int | None = None) -> Model:
    """Return dlib's face recognition network, which gives vectors of 128 numbers of aligned faces."""
    network = dlib.read(path)
    shape = dlib.SHAPE
    mean, std = tuple(value / 255 for value in DLIB_MEAN), (DLIB_RANGE / 255,) * 3
    state: dict[str, NDArray[Any]] = dict(network.state)
    return Model(
        "dlib_face_resnet", network.graph, state, Preprocessing(*shape, mean, std), Identity(dlib.DIMENSIONS),
        network.layers, {TEMPLATE: "dlib", "weights": Path(path).name}, name=str(path), engine=engine, threads=threads,
        calibration=DLIB_THRESHOLD,
    )  # fmt: skip


def _import_onnx(path: Path, engine: Engine, threads: int | None) -> Model:
    network = onnx.read(path, FACE_SHAPE)
    outputs = list(network.graph.outputs.values())
    sizes = [size for size in outputs[0].shape[1:] if size != 1]
    if len(outputs) != 1 or len(sizes) != 1 or outputs[0].shape[0] != BATCH:
        found = ", ".join(show(output.shape) for output in outputs)
        raise ModelError(f"{path} gives {found}, but a network that compares images gives N × dimensions, alone")
    vectors = unit_vectors(ops.reshape(outputs[0], (BATCH, sizes[0])))
    graph = Graph(network.graph.inputs, {"embeddings": vectors}).verify()
    state: dict[str, NDArray[Any]] = dict(network.state)
    return Model(
        path.stem, graph, state, Preprocessing(*FACE_SHAPE, HALVES, HALVES), Identity(int(str(sizes[0]))),
        network.layers, {"onnx": {"producer": network.producer}}, name=str(path), engine=engine, threads=threads,
    )  # fmt: skip
