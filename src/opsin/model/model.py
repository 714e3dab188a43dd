"""`Model`: a trained network with everything it needs to be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import opsin
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.base import random_counter
from opsin.base.concurrency import ForkLock
from opsin.base.errors import DataError, ModelError, OpsinError, UsageError
from opsin.base.legacy import TENSORS, renamed, renamed_graph
from opsin.data import LabeledImages, Preprocessing
from opsin.data.pixels import ImageView, Pixels
from opsin.interop.tensors import StoredTensor
from opsin.interop.torch.unwrap import say
from opsin.interop.weights import fit, idle_layers, matched, opened
from opsin.ir import BATCH, FLOAT, Graph, show
from opsin.ir.arguments import called, instance, whole
from opsin.ir.arguments import path as sound_path
from opsin.ir.checked import checked
from opsin.ir.serialization import from_data, to_data
from opsin.model import file
from opsin.model.calibration import Calibration, calibrate, sigmoid, softmax
from opsin.model.inputs import ImageInput, prepared
from opsin.model.predictions import Evaluation, Prediction
from opsin.ops import OPS

Engine: TypeAlias = Callable[[Graph, int, int | None], Program]
"""Compiles a graph for a batch and a number of threads (`None`: every core)."""

MAX_BATCH = 64
BATCH_ELEMENTS = 2**21
"""A batch holds at most this many input values, so that large images need little memory."""

GOLDENS = 4
INDEPENDENT = "independent_labels"
"""Where a model file keeps the labels that may come together; an Opsin that knows none such finds no labels."""

TOLERANCE = 1e-3
"""Largest deviation from the golden logits, as a share of the largest of them, that rounding explains."""


@dataclass(eq=False)
class Model:
    """A network (`graph`: images → logits, the batch free), its parameters (`state`), and what belongs to it.

    `layers` are the layers' kinds by path, `record` tells how it was trained; `goldens` are images
    and the logits they had when the file was written; `calibration` says how far its probabilities can be believed.
    The labels of an `independent` model may come together: each has a probability of its own, by a sigmoid.
    A `mirrored` model looks at an image and at its mirror image, and answers with the mean of both logits.
    Several threads, and forked processes, may ask one model: the answers are those that one thread gets.
    """

    network: str
    graph: Graph
    state: dict[str, NDArray[Any]]
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    layers: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    goldens: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None
    name: str = "the model"
    engine: Engine = compile_native
    threads: int | None = None
    calibration: Calibration | None = None
    mirrored: bool = False
    independent: bool = False
    _programs: dict[int, Program] = field(default_factory=dict, repr=False)
    _making: ForkLock = field(default_factory=ForkLock, repr=False)

    def load_state(self, values: Mapping[str, NDArray[Any]] | str | os.PathLike[str]) -> None:
        """Takes over parameters and running statistics, by name, from a file (see `read_state`) or a mapping.

        Names and shapes have to be the network's, all of them; what only training needs may be there, too, and what
        stands before all names, such as "model.", is left out, with a line in the log "opsin". Otherwise `ModelError`
        says what is missing, unexpected or of another shape, and the model stays as it is.
        """
        if isinstance(values, str | os.PathLike):
            with opened(Path(sound_path("the file of weights", values))) as found:
                state = self._fitting(found.tensors, str(values), found.words)
        else:
            instance("a state", values, Mapping, "a mapping of names to arrays, or the path of a file of weights")
            state = self._fitting({name: StoredTensor.of(np.asarray(array)) for name, array in values.items()})
        with self._making.lock:
            self.state, self.goldens, self.calibration = state, None, None
            for program in self._programs.values():
                program.load_state(state)

    def _fitting(
        self, tensors: Mapping[str, StoredTensor], source: str = "the weights", said: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """The values of the network's variables, also from the names that they have in its published files."""
        published = opsin.zoo.weights.WEIGHTS.get(self.network)  # the zoo is loaded here, where it is needed
        found, words = matched(tensors, self.graph.variables, published.renames if published else ())
        state = fit(self.graph.variables, idle_layers(self.layers, self.graph), found)
        say(source, [*said, *words])
        return state

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """The network's output for uint8 N×C×H×W, the mean of two if it is `mirrored`: float32 N×classes."""
        if not isinstance(pixels, np.ndarray | ImageView):
            raise DataError(f"{self.name} takes arrays of uint8, not {called(pixels)}; predict takes files, too")
        if isinstance(pixels, np.ndarray):
            pixels = self.preprocessing.to_uint8(pixels, "the array")
        if pixels.ndim != 4 or pixels.shape[1:] != self.preprocessing.shape or pixels.dtype != np.uint8:
            raise DataError(
                f"{self.name} takes uint8 images of {show(self.preprocessing.shape)}, "
                f"not {pixels.dtype} {show(pixels.shape)}; give files, or arrays of that shape, from 0 to 255"
            )
        most = max(1, min(MAX_BATCH, BATCH_ELEMENTS // max(1, pixels[:1].size)))
        batch = most if len(pixels) > most // 4 else 1
        parts = [self._run(pixels[first : first + batch], batch) for first in range(0, len(pixels), batch)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)), np.float32)

    def _run(self, pixels: NDArray[np.uint8], batch: int) -> NDArray[np.float32]:
        """One batch; a short one is filled up with its last image."""
        program = self._programs.get(batch) or self._compiled(batch)
        full = np.concatenate([pixels, np.repeat(pixels[-1:], batch - len(pixels), axis=0)])
        images = self.preprocessing.apply(full)
        logits = program.run(inputs=images)["logits"][: len(pixels)]
        if not self.mirrored:
            return logits
        image = program.run(inputs=np.ascontiguousarray(images[..., ::-1]))["logits"][: len(pixels)]
        return np.asarray((logits + image) / 2, np.float32)

    def _compiled(self, batch: int) -> Program:
        """The program for a batch, made once, whatever threads ask for it."""
        with self._making.lock:
            if batch not in self._programs:
                program = self.engine(self.graph, batch, self.threads)
                program.load_state(self.state)
                self._programs[batch] = program
            return self._programs[batch]

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: programs belong to one model and one process, and are compiled anew."""
        return self.__dict__ | {"graph": to_data(self.graph), "_programs": {}, "_making": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"graph": from_data(state["graph"], OPS.get), "_making": ForkLock()})

    def predict(self, images: ImageInput, *, top: int | None = None) -> list[Prediction]:
        """What the model sees in each image, with the `top` likeliest labels, or all of them.

        An image is a path, the bytes of a file, an open file, a Pillow image, or a uint8 array: C×H×W as the network
        takes it, or rows × columns (× channels) as programs hold images. Several are in a list or the like, or in an
        array N×C×H×W.
        """
        most = None if top is None else whole("top, the number of labels for each image,", top, least=1)
        rows = self.logits(prepared(images, self.preprocessing))
        return [Prediction.of(row, self.labels, self.calibration, self.independent, most) for row in rows]

    def probabilities(self, pixels: Pixels) -> NDArray[np.float64]:
        """The probability of each label for uint8 N×C×H×W: float64 N×classes, calibrated where the model is.

        They add up to 1, unless the model is `independent`.
        """
        if self.independent:
            return sigmoid(self.logits(pixels))
        return softmax(self.logits(pixels), self.calibration.temperature if self.calibration else 1.0)

    def calibrate(self, images: LabeledImages) -> Calibration:
        """Fits temperature and threshold to labelled images that the network did not learn from, and keeps them."""
        if self.independent:
            raise UsageError(
                f"{self.name} gives each label a probability of its own; only distributions are calibrated"
            )
        numbers = self.numbers(images)
        self.calibration = calibrate(self.logits(images.pixels), numbers)
        return self.calibration

    def numbers(self, images: LabeledImages) -> NDArray[np.int32]:
        """The labels of `images` as numbers of the model's own; `DataError` where it does not know a class."""
        instance(
            "what a model is measured on", images, LabeledImages, "labelled images, such as data.test of a dataset"
        )
        strangers = [name for name in images.classes if name not in self.labels]
        if strangers:
            raise DataError(
                f"the data has a class '{strangers[0]}' that {self.name} does not know; "
                f"it knows {', '.join(self.labels)}"
            )
        number = np.array([self.labels.index(name) for name in images.classes], np.int32)
        return number[images.labels]

    def evaluate(self, images: LabeledImages) -> Evaluation:
        """Accuracy, loss and confusion on labelled images; their classes must be the model's."""
        numbers = self.numbers(images)
        if not len(images):
            raise DataError("there are no images to evaluate on")
        return Evaluation.of(self.probabilities(images.pixels), numbers, self.labels)

    def check(self) -> float:
        """Runs the golden images; the largest deviation, or `ModelError` where it is more than rounding."""
        if self.goldens is None:
            self.goldens = self._make_goldens()
        pixels, expected = self.goldens
        deviation = float(np.abs(self.logits(pixels) - expected).max() / max(1.0, float(np.abs(expected).max())))
        if not deviation <= TOLERANCE:
            raise ModelError(
                f"{self.name} gives other results here than where it was made (by {deviation:.2g} of the largest); "
                "do not trust its answers on this computer, and report it"
            )
        return deviation

    def _make_goldens(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Random blocks of 4 × 4 pixels, not anybody's images: model files are passed on."""
        channels, height, width = self.preprocessing.shape
        rows, columns = -(-height // 4), -(-width // 4)
        words = random_counter.words(GOLDENS * channels * rows * columns, 0, random_counter.GOLDEN)
        blocks = (words >> np.uint64(56)).astype(np.uint8).reshape(GOLDENS, channels, rows, columns)
        pixels = blocks.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width]
        return np.ascontiguousarray(pixels), self.logits(pixels)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model file, whole or not at all."""
        target = Path(sound_path("the model's file", path))
        self.goldens = pixels, logits = self.goldens or self._make_goldens()
        description: dict[str, Any] = {
            "network": self.network,
            "layers": self.layers,
            "graph": to_data(self.graph),
            "preprocessing": self.preprocessing.to_data(),
            INDEPENDENT if self.independent else "labels": list(self.labels),
            "training": self.record,
            "mirrored": self.mirrored,
        }
        if self.calibration:
            description["calibration"] = self.calibration.to_data()
        tensors = {**self.state, "golden.images": pixels, "golden.logits": logits}
        file.write(target, description, tensors)


@checked
def load(path: str | os.PathLike[str], engine: Engine = compile_native, threads: int | None = None) -> Model:
    """The model in a file. Runs no code of the file's; `ModelError` names the file and what is wrong with it."""
    description, tensors = file.read(Path(path))
    try:
        graph = from_data(renamed_graph(description["graph"]), OPS.get)
        preprocessing = Preprocessing.from_data(description["preprocessing"])
        independent = INDEPENDENT in description
        labels = tuple(str(label) for label in description[INDEPENDENT if independent else "labels"])
        network, record = str(description["network"]), dict(renamed(description["training"]))
        calibration = (
            Calibration.from_data(renamed(description["calibration"])) if "calibration" in description else None
        )
        layers = {str(path): str(kind) for path, kind in dict(description["layers"]).items()}
        mirrored = bool(description.get("mirrored", False))
        tensors = {TENSORS.get(name, name): tensor for name, tensor in tensors.items()}
        goldens = tensors.pop("golden.images"), tensors.pop("golden.logits")
        _check(graph, tensors, preprocessing, labels)
        if goldens[1].shape != (len(goldens[0]), len(labels)):
            raise ModelError("its golden images and logits do not fit")
    except OpsinError as error:
        raise ModelError(f"{path} describes no network that can run: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks a part of a model file ({error}); train it anew") from None
    return Model(
        network, graph, tensors, preprocessing, labels, layers, record, goldens, str(path), engine, threads,
        calibration, mirrored, independent,
    )  # fmt: skip


def _check(
    graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing, labels: tuple[str, ...]
) -> None:
    """`ModelError` unless graph, tensors, preprocessing and labels belong together."""
    inputs = {t.node.attrs["name"]: t.shape for t in graph.inputs}
    if inputs != {"inputs": (BATCH, *preprocessing.shape)}:
        raise ModelError("its network does not take the images that its preprocessing makes")
    if "logits" not in graph.outputs or graph.outputs["logits"].shape != (BATCH, len(labels)):
        raise ModelError(f"its network does not give one output for each of its {len(labels)} labels")
    if graph.updates:
        raise ModelError("its network changes while it runs")
    if state.keys() != graph.variables.keys():
        odd = sorted(state.keys() ^ graph.variables.keys())[0]
        raise ModelError(f"the tensor '{odd}' is missing or one too many")
    for name, tensor in graph.variables.items():
        dtype = np.float32 if tensor.dtype == FLOAT else np.int32
        if state[name].shape != tensor.shape or state[name].dtype != dtype:
            raise ModelError(
                f"the tensor '{name}' is {state[name].dtype} {show(state[name].shape)}, not {show(tensor.shape)}"
            )
