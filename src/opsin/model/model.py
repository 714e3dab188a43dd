"""`Model`: a trained network with everything that is needed to use it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import opsin
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base import random_counter
from opsin.base.concurrency import ForkLock
from opsin.base.deprecated import accepts_old_names
from opsin.base.errors import DataError, ModelError, OpsinError, UsageError
from opsin.base.legacy import TENSORS, TTA, renamed, renamed_graph
from opsin.data import LabeledImages, Preprocessing
from opsin.data.pixels import ImageView, Pixels
from opsin.interop.tensors import StoredTensor
from opsin.interop.torch.unwrap import log_notes
from opsin.interop.weights import fit, idle_layers, match_names, open_weights
from opsin.ir import BATCH, FLOAT, Graph, show
from opsin.ir.arguments import called, instance, whole
from opsin.ir.arguments import path as sound_path
from opsin.ir.checked import checked
from opsin.ir.serialization import from_data, to_data
from opsin.model import file
from opsin.model.calibration import Calibration, calibrate, sigmoid, softmax
from opsin.model.inputs import ImageInput, to_pixels
from opsin.model.predictions import Evaluation, Prediction
from opsin.ops import OPS

MAX_BATCH = 64
BATCH_ELEMENTS = 2**21
"""Input values in a batch, at most, so that large images need little memory."""

GOLDEN_COUNT = 4
INDEPENDENT = "independent_labels"
"""The key of labels that are independent of each other; versions that do not know it find no labels at all."""

TOLERANCE = 1e-3
"""The largest deviation from the golden logits, relative to the largest of them, that rounding explains."""


@accepts_old_names((TTA,))
@dataclass(eq=False)
class Model:
    """A network (`graph`: images → logits, with a free batch size), its parameters (`state`), and what belongs to it.

    `layers` are the kinds of the layers by path, and `record` is the training record. `goldens` are images and their
    logits when the file was written; `calibration` makes probabilities reliable. In an `independent` model the labels
    are not exclusive: each has its own probability, by a sigmoid. With `tta` "hflip" (test-time augmentation) the
    logits of an image and of its mirror image are averaged. Threads and forked processes may share a model; the
    results do not depend on that.
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
    tta: str | None = None
    independent: bool = False
    _programs: dict[int, Program] = field(default_factory=dict, repr=False)
    _lock: ForkLock = field(default_factory=ForkLock, repr=False)

    def load_state(self, values: Mapping[str, NDArray[Any]] | str | os.PathLike[str]) -> None:
        """Load parameters and running statistics by name, from a file (see `read_state`) or a mapping.

        Names and shapes must be those of the network, and complete. Tensors that only training needs are ignored, and
        a common prefix of all names, such as "model.", is removed; the log "opsin" reports it. Otherwise raise
        `ModelError` with what is missing, unexpected or of another shape; the model then stays as it was.
        """
        if isinstance(values, str | os.PathLike):
            with open_weights(Path(sound_path("the file of weights", values))) as weights:
                state = self._matching_state(weights.tensors, str(values), weights.notes)
        else:
            instance("a state", values, Mapping, "a mapping of names to arrays, or the path of a file of weights")
            state = self._matching_state({name: StoredTensor.of(np.asarray(array)) for name, array in values.items()})
        with self._lock.lock:
            self.state, self.goldens, self.calibration = state, None, None
            for program in self._programs.values():
                program.load_state(state)

    def _matching_state(
        self, tensors: Mapping[str, StoredTensor], source: str = "the weights", notes: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Return the values of the network's variables; names may also be those of its published weights."""
        published = opsin.zoo.weights.WEIGHTS.get(self.network)  # loads the zoo only when it is needed
        named, more_notes = match_names(tensors, self.graph.variables, published.renames if published else ())
        state = fit(self.graph.variables, idle_layers(self.layers, self.graph), named)
        log_notes(source, [*notes, *more_notes])
        return state

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the network's output (float32 N×classes) for uint8 N×C×H×W; the mean of two with `tta`."""
        if not isinstance(pixels, np.ndarray | ImageView):
            raise DataError(f"{self.name} takes arrays of uint8, not {called(pixels)}; predict takes files, too")
        if isinstance(pixels, np.ndarray):
            pixels = self.preprocessing.to_uint8(pixels, "the array")
        if pixels.ndim != 4 or pixels.shape[1:] != self.preprocessing.shape or pixels.dtype != np.uint8:
            raise DataError(
                f"{self.name} takes uint8 images of {show(self.preprocessing.shape)}, "
                f"not {pixels.dtype} {show(pixels.shape)}; give files, or arrays of that shape, from 0 to 255"
            )
        largest = max(1, min(MAX_BATCH, BATCH_ELEMENTS // max(1, pixels[:1].size)))
        batch = largest if len(pixels) > largest // 4 else 1
        parts = [self._run(pixels[first : first + batch], batch) for first in range(0, len(pixels), batch)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)), np.float32)

    def _run(self, pixels: NDArray[np.uint8], batch: int) -> NDArray[np.float32]:
        """Run one batch; a short one is padded with its last image."""
        program = self._programs.get(batch) or self._compiled(batch)
        full = np.concatenate([pixels, np.repeat(pixels[-1:], batch - len(pixels), axis=0)])
        images = self.preprocessing.apply(full)
        logits = program.run(inputs=images)["logits"][: len(pixels)]
        if self.tta is None:
            return logits
        mirrored = program.run(inputs=np.ascontiguousarray(images[..., ::-1]))["logits"][: len(pixels)]
        return np.asarray((logits + mirrored) / 2, np.float32)

    def _compiled(self, batch: int) -> Program:
        """Return the program for a batch size; threads that ask for it at the same time share it."""
        with self._lock.lock:
            if batch not in self._programs:
                program = self.engine(self.graph, batch, self.threads)
                program.load_state(self.state)
                self._programs[batch] = program
            return self._programs[batch]

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: programs belong to one model and one process, and are compiled again."""
        return self.__dict__ | {"graph": to_data(self.graph), "_programs": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"graph": from_data(state["graph"], OPS.get), "_lock": ForkLock()})

    def predict(self, images: ImageInput, *, top: int | None = None) -> list[Prediction]:
        """Classify images; return the `top` most probable labels of each, or all of them.

        An image is a path, the bytes of a file, an open file, a Pillow image, or a uint8 array: C×H×W as the network
        takes it, or rows × columns (× channels). Several images are an iterable of these, or an array N×C×H×W.
        """
        count = None if top is None else whole("top, the number of labels for each image,", top, minimum=1)
        rows = self.logits(to_pixels(images, self.preprocessing))
        return [Prediction.from_logits(row, self.labels, self.calibration, self.independent, count) for row in rows]

    def probabilities(self, pixels: Pixels) -> NDArray[np.float64]:
        """Return the probability of each label for uint8 N×C×H×W: float64 N×classes, calibrated if the model is.

        They add up to 1, unless the model is `independent`.
        """
        if self.independent:
            return sigmoid(self.logits(pixels))
        return softmax(self.logits(pixels), self.calibration.temperature if self.calibration else 1.0)

    def calibrate(self, images: LabeledImages) -> Calibration:
        """Fit temperature and threshold to labelled images that the network was not trained on, and store them."""
        if self.independent:
            raise UsageError(
                f"{self.name} has independent labels; only probabilities that add up to 1 can be calibrated"
            )
        self.calibration = calibrate(self.logits(images.pixels), self.label_indices(images))
        return self.calibration

    def label_indices(self, images: LabeledImages) -> NDArray[np.int32]:
        """Return the labels of `images` as indices into the model's labels; raise `DataError` for an unknown class."""
        instance(
            "what a model is measured on", images, LabeledImages, "labelled images, such as data.test of a dataset"
        )
        unknown = [name for name in images.classes if name not in self.labels]
        if unknown:
            raise DataError(
                f"the data has a class '{unknown[0]}' that {self.name} does not know; it knows {', '.join(self.labels)}"
            )
        index_of = np.array([self.labels.index(name) for name in images.classes], np.int32)
        return index_of[images.labels]

    def evaluate(self, images: LabeledImages) -> Evaluation:
        """Measure accuracy, loss and confusion matrix on labelled images, whose classes must be the model's."""
        labels = self.label_indices(images)
        if not len(images):
            raise DataError("there are no images to evaluate on")
        return Evaluation.from_probabilities(self.probabilities(images.pixels), labels, self.labels)

    def check(self) -> float:
        """Run the golden images; return the largest deviation, or raise `ModelError` if it is more than rounding."""
        if self.goldens is None:
            self.goldens = self._make_goldens()
        pixels, expected = self.goldens
        deviation = float(np.abs(self.logits(pixels) - expected).max() / max(1.0, float(np.abs(expected).max())))
        if not deviation <= TOLERANCE:
            raise ModelError(
                f"{self.name} gives other results here than where it was saved (by {deviation:.2g} of the largest); "
                "do not trust its answers on this computer, and report it"
            )
        return deviation

    def _make_goldens(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Make goldens from random blocks of 4 × 4 pixels; training images would be passed on with the model file."""
        channels, height, width = self.preprocessing.shape
        rows, columns = -(-height // 4), -(-width // 4)
        more_notes = random_counter.words(GOLDEN_COUNT * channels * rows * columns, 0, random_counter.GOLDEN)
        blocks = (more_notes >> np.uint64(56)).astype(np.uint8).reshape(GOLDEN_COUNT, channels, rows, columns)
        pixels = blocks.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width]
        return np.ascontiguousarray(pixels), self.logits(pixels)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file atomically."""
        target = Path(sound_path("the model's file", path))
        self.goldens = pixels, logits = self.goldens or self._make_goldens()
        description: dict[str, Any] = {
            "network": self.network,
            "layers": self.layers,
            "graph": to_data(self.graph),
            "preprocessing": self.preprocessing.to_data(),
            INDEPENDENT if self.independent else "labels": list(self.labels),
            "training": self.record,
            "mirrored": self.tta == "hflip",
        }
        if self.calibration:
            description["calibration"] = self.calibration.to_data()
        tensors = {**self.state, "golden.images": pixels, "golden.logits": logits}
        file.write(target, description, tensors)


@checked
def load(path: str | os.PathLike[str], engine: Engine = compile_native, threads: int | None = None) -> Model:
    """Load a model file. No code in it is run; `ModelError` names the file and the problem."""
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
        tta = "hflip" if description.get("mirrored", False) else None
        tensors = {TENSORS.get(name, name): tensor for name, tensor in tensors.items()}
        goldens = tensors.pop("golden.images"), tensors.pop("golden.logits")
        _check_consistency(graph, tensors, preprocessing, labels)
        if goldens[1].shape != (len(goldens[0]), len(labels)):
            raise ModelError("its golden images and logits do not match")
    except OpsinError as error:
        raise ModelError(f"{path} does not describe a valid network: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks a part of a model file ({error}); train it again") from None
    return Model(
        network, graph, tensors, preprocessing, labels, layers, record, goldens, str(path), engine, threads,
        calibration, tta, independent,
    )  # fmt: skip


def _check_consistency(
    graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing, labels: tuple[str, ...]
) -> None:
    """Raise `ModelError` unless graph, tensors, preprocessing and labels are consistent."""
    inputs = {t.node.attrs["name"]: t.shape for t in graph.inputs}
    if inputs != {"inputs": (BATCH, *preprocessing.shape)}:
        raise ModelError("its network does not take the images that its preprocessing makes")
    if "logits" not in graph.outputs or graph.outputs["logits"].shape != (BATCH, len(labels)):
        raise ModelError(f"its network does not give one output for each of its {len(labels)} labels")
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
