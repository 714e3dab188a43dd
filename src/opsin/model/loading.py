"""Opening a model file: its description becomes a model, after everything in it has been checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.errors import ModelError, OpsinError
from opsin.base.legacy import TENSORS, renamed, renamed_graph
from opsin.data import Preprocessing
from opsin.ir import BATCH, FLOAT, Graph, show
from opsin.ir.checked import checked
from opsin.ir.serialization import from_data
from opsin.model import file
from opsin.model.goldens import golden_values
from opsin.model.int8 import Quantization
from opsin.model.model import Model
from opsin.ops import OPS
from opsin.tasks.registry import described_task
from opsin.tasks.task import Task


@checked
def load(path: str | os.PathLike[str], engine: Engine = compile_native, threads: int | None = None) -> Model:
    """Load a model file. No code in it is run; `ModelError` names the file and the problem."""
    description, tensors = file.read(Path(path))
    try:
        graph = from_data(renamed_graph(description["graph"]), OPS.get)
        preprocessing = Preprocessing.from_data(description["preprocessing"])
        task = described_task(description)
        record = dict(renamed(description["training"]))
        tensors = {TENSORS.get(name, name): tensor for name, tensor in tensors.items()}
        goldens = tensors.pop("golden.images"), tensors.pop("golden.logits")
        check_consistency(graph, tensors, preprocessing, task)
        described = described_fields(description, task)
        if "quantization" in description:
            described["quantization"] = Quantization.from_data(description["quantization"], graph)
        if goldens[1].shape != (len(goldens[0]), len(range(0, *golden_values(graph)))):
            raise ModelError("its golden images and outputs do not match")
    except OpsinError as error:
        raise ModelError(f"{path} does not describe a valid network: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks a part of a model file ({error}); train it again") from None
    return Model(
        graph=graph, state=tensors, preprocessing=preprocessing, task=task, record=record, goldens=goldens,
        name=str(path), engine=engine, threads=threads, **described,
    )  # fmt: skip


def described_fields(description: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the fields of a model that `Model.description` wrote, but for its task and its preprocessing."""
    data = description.get("calibration")
    return {
        "network": str(description["network"]),
        "layers": {str(path): str(kind) for path, kind in dict(description["layers"]).items()},
        "tta": "hflip" if description.get("mirrored", False) else None,
        "calibration": None if data is None else task.calibration_from_data(renamed(data)),
    }


def check_consistency(
    graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing, task: Task
) -> None:
    """Raise `ModelError` or `ShapeError` unless graph, tensors, preprocessing and task are consistent."""
    inputs = {t.node.attrs["name"]: t.shape for t in graph.inputs}
    if inputs != {"inputs": (BATCH, *preprocessing.input_shape)}:
        raise ModelError("its network does not take the images that its preprocessing makes")
    task.check(graph)
    if graph.updates:
        raise ModelError("its network changes while it runs")
    if state.keys() != graph.variables.keys():
        name = sorted(state.keys() ^ graph.variables.keys())[0]
        raise ModelError(f"the tensor '{name}' is missing or unexpected")
    for name, tensor in graph.variables.items():
        dtype = np.float32 if tensor.dtype == FLOAT else np.int32
        if state[name].shape != tensor.shape or state[name].dtype != dtype:
            raise ModelError(
                f"the tensor '{name}' is {state[name].dtype} {show(state[name].shape)}, not {show(tensor.shape)}"
            )
