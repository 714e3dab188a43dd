"""The weights of a model file as the beginning of another training, for the same task or another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError, OpsinError, UsageError
from opsin.data import Preprocessing
from opsin.interop.tensors import StoredTensor
from opsin.interop.weights import GOLDEN_TENSORS, match_names
from opsin.ir import FLOAT, Graph, Tensor, show
from opsin.model import file
from opsin.model.head import head_variables
from opsin.tasks.registry import described_task
from opsin.tasks.task import Task
from opsin.zoo import registry

MODEL = "model.opsin"
"""The name of the model file in the folder of a run."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)
"""The shares of red, green and blue in grey (ITU-R BT.601), by which image files are converted."""

DIGEST_SHOWN = 12
"""Digits of a digest in sentences."""

State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ModelWeights:
    """The weights in the model file `path`, whose content has the digest `digest`.

    `network` and `task` are the names of the model's, which has so many `outputs`. `preprocessing` says how images are
    prepared for the training that begins with the weights. With `head`, those of the last layers are taken, too.
    """

    path: str
    digest: str
    network: str
    task: str
    outputs: int
    preprocessing: Preprocessing
    head: bool = False

    @classmethod
    def open(cls, path: str) -> ModelWeights:
        """Return the weights of a model file, or of the model of a run. Raise `ModelError` if there is no model."""
        model = _model_path(Path(path))
        description, _ = file.read(model)
        try:
            network, task = str(description["network"]), described_task(description)
            preprocessing = Preprocessing.from_data(description["preprocessing"])
        except (OpsinError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} lacks a part of a model file ({error}); train it again") from None
        return cls(str(model.absolute()), file.digest(model), network, task.name, task.outputs, preprocessing)

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ModelWeights:
        """Return the weights that `to_data` described. Raise `KeyError` or `OpsinError` for anything else."""
        path, digest, network, task = (str(data[name]) for name in ("path", "digest", "network", "task"))
        preprocessing = Preprocessing.from_data(data["preprocessing"])
        return cls(path, digest, network, task, int(data["outputs"]), preprocessing, bool(data["head"]))

    def __str__(self) -> str:
        """Return a phrase that names the file, the digest and what was learned."""
        return f"the weights in {self.path} ({self.task}, digest {self.digest[:DIGEST_SHOWN]})"

    def check_network(self, network: str) -> None:
        """Raise `UsageError` unless the weights are those of the network called `network`, or of its backbone."""
        trunk = registry.trunk(self.network)
        if registry.trunk(network) != trunk:
            raise UsageError(
                f"{self.path} has weights of {self.network}, which shares no layers with {network}; leave --network "
                f"out, or give weights of {registry.trunk(network)}"
            )

    def for_images(self, channels: int, height: int, width: int) -> ModelWeights:
        """Return the weights with the preprocessing of images of another size, or of grey ones in place of RGB."""
        given = self.preprocessing
        mean, std = (_by_channel(values, channels) for values in (given.mean, given.std))
        preprocessing = replace(
            given, channels=channels, height=height, width=width, mean=mean, std=std,
            dark_background=given.dark_background and channels == 1,
        )  # fmt: skip
        return replace(self, preprocessing=preprocessing)

    def for_task(self, task: Task) -> ModelWeights:
        """Return the weights with those of the last layers if the model has been trained for just this task."""
        description, _ = self._read()
        given = described_task(description)
        return replace(self, head=(given.name, given.labels, given.outputs) == (task.name, task.labels, task.outputs))

    def state(self, graph: Graph, prefix: str = "") -> State:
        """Return the values of those variables of a network's inference `graph` that the model has.

        Only variables whose names begin with `prefix` get values. Those of the last layers do not unless `head` is set,
        nor do layers with another number of outputs. A first layer for grey images serves for RGB, and the reverse.
        Raise `ModelError` if the file is missing or has changed, or if the weights do not suit the network.
        """
        _, tensors = self._read()
        stored = {name: StoredTensor.of(array) for name, array in tensors.items() if name not in GOLDEN_TENSORS}
        known = {name[len(prefix) :]: tensor for name, tensor in graph.variables.items() if name.startswith(prefix)}
        matches, _ = match_names(stored, known, registry.trunk_renames(self.network))
        new = set() if self.head else {name[len(prefix) :] for name in head_variables(graph)}
        state = {}
        for name in known.keys() & matches.keys() - new:
            array, tensor = matches[name].read(), known[name]
            value = _fitted(array, tensor)
            if value is not None:
                state[f"{prefix}{name}"] = value
            elif array.shape[1:] != tensor.shape[1:]:
                raise ModelError(
                    f"{self.path} has '{name}' of {show(array.shape)}, but {show(tensor.shape)} is needed for these "
                    "images: the layer depends on their size; leave --size out, or begin with other weights"
                )
        if state.keys().isdisjoint(graph.parameters):
            raise ModelError(f"{self.path} has no parameters of this network; begin with a model of the same network")
        return state

    def _read(self) -> tuple[dict[str, Any], State]:
        """Return description and tensors. Raise `ModelError` if the file is missing, or is another one than before."""
        path = Path(self.path)
        if not path.is_file():
            raise ModelError(f"{path}, with whose weights the training begins, is missing; bring it back")
        if file.digest(path) != self.digest:
            raise ModelError(
                f"{path}, with whose weights the training begins, has changed since it was planned; bring the old file "
                "back, or start a new run"
            )
        return file.read(path)


def _model_path(path: Path) -> Path:
    """Return the path of a model file, given itself or as the folder of a run. Raise `ModelError` if there is none."""
    if not path.is_dir():
        return path
    if not (path / MODEL).is_file():
        raise ModelError(
            f"{path} is a folder without a model ({MODEL}); give the folder of a run whose training has ended, or a "
            "model file"
        )
    return path / MODEL


def _by_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return a number for each of the channels: the mean for grey images, the same for each colour."""
    if len(values) == channels:
        return values
    return (float(np.mean(values)),) * channels


def _fitted(array: NDArray[Any], tensor: Tensor) -> NDArray[Any] | None:
    """Return the stored `array` as a value of a variable; None if the shapes differ in more than grey and RGB.

    With filters for grey images times the shares of the colours, a network sees colour images as if they were grey.
    """
    dtype = np.float32 if tensor.dtype == FLOAT else np.int32
    if array.shape == tensor.shape:
        return np.asarray(array, dtype, order="C")
    if array.ndim == 4 and (array.shape[0], *array.shape[2:]) == (tensor.shape[0], *tensor.shape[2:]):
        if (array.shape[1], tensor.shape[1]) == (1, 3):
            return np.asarray(array * LUMA, dtype)
        if (array.shape[1], tensor.shape[1]) == (3, 1):
            return np.asarray(array.sum(axis=1, keepdims=True), dtype)
    return None
