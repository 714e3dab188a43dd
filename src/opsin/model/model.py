"""`Model`: a trained network with everything that is needed to use it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import opsin
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.concurrency import ForkLock
from opsin.base.deprecated import accepts_old_names
from opsin.base.errors import DataError, ModelError, UsageError
from opsin.base.legacy import TTA
from opsin.compiler.precision import Precision
from opsin.data import Preprocessing, Samples
from opsin.data.augment.random_views import RandomViews
from opsin.data.batches import MAX_BATCH, batch_size
from opsin.data.frame_stacks import FrameHistory
from opsin.data.pixels import Pixels
from opsin.data.preprocessing import portable_preprocessing
from opsin.inputs.registry import IMAGE
from opsin.interop.tensors import StoredTensor
from opsin.interop.torch.unwrap import log_notes
from opsin.interop.weights import fit, idle_layers, match_names, open_weights
from opsin.ir import Graph
from opsin.ir.arguments import instance, whole
from opsin.ir.arguments import path as sound_path
from opsin.ir.serialization import from_data, to_data
from opsin.model import file
from opsin.model.execution import batches_of, normalized, outputs_of, program_of
from opsin.model.goldens import make_goldens, signature
from opsin.model.inputs import ImageInput, Sized, read_images
from opsin.model.int8 import (
    INT8,
    Quantization,
    QuantizedNetwork,
    comparison_of,
    model_precision,
    quantization_of,
    quantized_network,
)
from opsin.ops import OPS
from opsin.quantization.comparison import MAX_DROP
from opsin.tasks.classification import Classification
from opsin.tasks.registry import MULTILABEL, describe_task
from opsin.tasks.views import ViewTask

TOLERANCE = 1e-3
"""The largest deviation from the golden logits, relative to the largest of them, that rounding explains."""


@accepts_old_names((TTA,))
@dataclass(eq=False)
class Model:
    """A network (`graph`: images → outputs, with a free batch size), its parameters (`state`), and what belongs to it.

    `task` is the question that it answers; the labels of a classifier may be given instead. `layers` are the kinds of
    the layers by path, and `record` is the training record. `goldens` are images and their outputs when the file was
    written; `calibration` makes answers reliable, and `quantization` is what 8-bit integers need. With `tta` "hflip"
    (test-time augmentation) the outputs of an image and of its mirror image are averaged. With `precision` "bf16"
    programs store feature maps as bfloat16 (see `compiler.precision`), with "int8" they compute with 8-bit integers,
    unless that loses more than `max_drop` percentage points; if `portable`, images are resized and programs compute to
    the bits of exported programs, an image at a time (see `backends.portable`). At most `max_batch` images are computed
    at once. The file keeps none of these. Threads and forked processes may share a model; the results do not depend on
    that.
    """

    network: str
    graph: Graph
    state: dict[str, NDArray[Any]]
    preprocessing: Preprocessing
    task: Any
    layers: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    goldens: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None
    name: str = "the model"
    engine: Engine = compile_native
    threads: int | None = None
    calibration: Any = None
    tta: str | None = None
    precision: str = Precision.FLOAT32.value
    portable: bool = False
    quantization: Quantization | None = None
    max_drop: float = MAX_DROP
    max_batch: int = MAX_BATCH
    _programs: dict[tuple[int, str, bool], Program] = field(default_factory=dict, repr=False)
    _lock: ForkLock = field(default_factory=ForkLock, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.task, Sequence):
            self.task = Classification(tuple(self.task))

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, or of the quantities that are measured."""
        names: tuple[str, ...] = self.task.labels
        return names

    @labels.setter
    def labels(self, names: Sequence[str]) -> None:
        if "labels" not in {each.name for each in fields(self.task)}:
            raise UsageError(f"{self.name} does {self.task.name}, whose answers have no labels; leave them out")
        self.task = replace(self.task, labels=tuple(names))

    @property
    def kind(self) -> str:
        """The kind of input, such as "image" or "sound"."""
        return str(self.preprocessing.kind)

    @property
    def input(self) -> Any:
        """The preprocessing of samples that are no images (see `opsin.inputs`); None for images."""
        return None if self.kind == IMAGE else self.preprocessing

    @property
    def reader(self) -> Preprocessing:
        """The preprocessing that reads image files. That of a `portable` model resizes as its exports do."""
        return (
            portable_preprocessing(self.preprocessing) if self.portable and self.kind == IMAGE else self.preprocessing
        )

    @property
    def independent(self) -> bool:
        """Whether each label has its own probability, by a sigmoid: several labels may be true of an image."""
        return bool(self.task.name == MULTILABEL)

    @property
    def largest_batch(self) -> int:
        """The number of images that are computed at once, if there are many."""
        return 1 if self.portable else batch_size(self.preprocessing.input_shape, self.max_batch)

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
            self._forget_quantization()
            for program in self._programs.values():
                program.load_state(state)

    def _matching_state(
        self, tensors: Mapping[str, StoredTensor], source: str = "the weights", notes: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Return the values of the network's variables; names may also be those of its published weights."""
        published = opsin.zoo.weights.WEIGHTS.get(self.network)  # loads the zoo only when it is needed
        matches, more_notes = match_names(tensors, self.graph.variables, published.renames if published else ())
        state = fit(self.graph.variables, idle_layers(self.layers, self.graph), matches)
        log_notes(source, [*notes, *more_notes])
        return state

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the output "logits" of `outputs`, float32 N × classes for a classifier."""
        return self.outputs(pixels)["logits"]

    def outputs(self, pixels: Pixels) -> dict[str, NDArray[np.float32]]:
        """Return the network's outputs by name for uint8 N×C×H×W; the mean of two with `tta`."""
        return outputs_of(self, pixels, self.precision)

    def batches(self, pixels: Pixels, precision: str) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield the network's outputs for some images at a time."""
        return batches_of(self, pixels, precision)

    def normalized(self, pixels: NDArray[np.uint8], precision: str | None = None) -> NDArray[Any]:
        """Return uint8 images as the programs of a precision take them; None: the model's."""
        return normalized(self, pixels, precision or self.precision)

    def program(self, batch: int) -> Program:
        """Return the program that predicts a batch in the model's precision."""
        return program_of(self, batch, self.precision)

    def quantize(
        self,
        images: Samples | ImageInput,
        held_out: Samples | None = None,
        float_layers: Sequence[str] = (),
    ) -> Quantization:
        """Observe the network's results on `images`, so that it can predict in 8-bit integers; return the record.

        The images are like those that it will be given, such as training images that are not augmented; 256 are enough.
        With labelled images in `held_out`, the record says what int8 costs. The layers in `float_layers` stay in
        float32. `save` writes the record to the model file.
        """
        pixels: Pixels = (
            images.stacked(self.preprocessing.frames).pixels
            if isinstance(images, Samples)
            else self.history().stack(read_images(images, self.preprocessing)[0])
        )
        return self.adopt(quantization_of(self, pixels, float_layers), held_out)

    def adopt(self, record: Quantization, held_out: Samples | None = None) -> Quantization:
        """Take a record for 8-bit integers, which `quantize` or a training made; return it.

        With labelled images in `held_out`, it says what int8 costs.
        """
        with self._lock.lock:
            self._forget_quantization()
            self.quantization = record
        if held_out is not None and len(held_out):
            self.quantization = replace(record, comparison=comparison_of(self, held_out))
        return self.quantization

    def quantized(self) -> QuantizedNetwork:
        """Return the network in 8-bit integers: its graph, whose input is pixels minus 128, and its state.

        Raise `ModelError` if the model has no ranges for it, or if int8 loses more than `max_drop` percentage points.
        """
        return quantized_network(self)

    def _forget_quantization(self) -> None:
        self.quantization = None
        for key in [key for key in self._programs if key[1] == INT8]:
            del self._programs[key]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and other processes. Compiled programs belong to one process and are omitted."""
        return self.__dict__ | {"graph": to_data(self.graph), "_programs": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"graph": from_data(state["graph"], OPS.get), "_lock": ForkLock()})

    def predict(self, images: ImageInput, *, top: int | None = None, precision: str | None = None) -> list[Any]:
        """Return the task's answer for each image: a `Prediction` of a classifier, with the `top` labels or all.

        An image is a path, the bytes of a file, an open file, a Pillow image, or a uint8 array: C×H×W as the network
        takes it, or rows × columns (× channels). Several images are an iterable of these, or an array N×C×H×W. If the
        network compares frames of a film, they are in the order of time. `precision` is "float32", "bf16" or
        "int8"; None: the model's.
        """
        kind = model_precision(self.precision if precision is None else precision)
        count = None if top is None else whole("top, the number of labels for each image,", top, minimum=1)
        pixels, sizes = read_images(images, self.reader)
        return self._answers(self.history().stack(pixels), sizes, count, kind)

    def history(self) -> FrameHistory:
        """Return a history of the frames of one film, for `answers`."""
        return FrameHistory(self.preprocessing.frames)

    def answers(
        self, images: Sequence[Sized], top: int | None = None, history: FrameHistory | None = None
    ) -> list[Any]:
        """Return the task's answers for images as `Preprocessing.read_with_size` gives them.

        They are the next frames of a film whose last frames are in `history`, if the network compares frames.
        """
        if not images:
            return []
        pixels = (history or self.history()).stack(np.stack([pixels for pixels, _ in images]))
        return self._answers(pixels, [size for _, size in images], top, self.precision)

    def _answers(
        self, pixels: Pixels, sizes: Sequence[tuple[int, int]], count: int | None, precision: str
    ) -> list[Any]:
        answers: list[Any] = []
        for outputs in self.batches(pixels, precision):
            first, number = len(answers), len(next(iter(outputs.values())))
            answers += self.task.answers(outputs, sizes[first : first + number], self.calibration, count)
        return answers

    def probabilities(self, pixels: Pixels) -> NDArray[np.float64]:
        """Return the probability of each label for uint8 N×C×H×W: float64 N×classes, calibrated if the model is.

        They add up to 1, unless the model is `independent`. Raise `UsageError` for a task without probabilities.
        """
        if not hasattr(self.task, "probabilities"):
            raise UsageError(f"{self.name} does {self.task.name}, which gives no probability of each label")
        result: NDArray[np.float64] = self.task.probabilities(self.outputs(pixels), self.calibration)
        return result

    def calibrate(self, images: Samples) -> Any:
        """Fit the task's calibration to images that the network was not trained on, store it and return it."""
        self.calibration = self.task.calibrate(list(self.results(images)))
        return self.calibration

    def label_indices(self, images: Samples) -> NDArray[np.int32]:
        """Return the labels of `images` as indices into the model's labels; raise `DataError` for an unknown class."""
        numbers: NDArray[np.int32] = self._targets(images).numbers
        return numbers

    def evaluate(self, images: Samples) -> Any:
        """Return the task's evaluation of images: accuracy, loss and confusion matrix of a classifier.

        Raise `DataError` if there are no images, or if their classes are not the model's.
        """
        targets = self._targets(images)
        if not len(images):
            raise DataError("there are no images to evaluate on")
        return self.task.evaluate(list(self.results(images, targets)), self.calibration)

    def _targets(self, images: Samples) -> Any:
        """Return the targets of images in the terms of the model's task."""
        instance("what a model is measured on", images, Samples, "labelled images, such as data.test of a dataset")
        try:
            return self.task.align(images.task, images.targets)
        except DataError as error:
            raise DataError(str(error).replace("the model", self.name, 1)) from None

    def results(self, images: Samples, targets: Any = None) -> Iterator[Any]:
        """Yield what the task keeps of the outputs, for some images at a time."""
        targets, first = self._targets(images) if targets is None else targets, 0
        for outputs in self._task_outputs(images):
            count = len(next(iter(outputs.values())))
            yield self.task.reduce(outputs, targets.take(np.arange(first, first + count)))
            first += count

    def _task_outputs(self, images: Samples) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield the outputs that the task evaluates: also of two random views of each image, if it needs them."""
        if not isinstance(self.task, ViewTask):
            yield from self.batches(images.stacked(self.preprocessing.frames).pixels, self.precision)
            return
        views = [RandomViews.of(images, self.preprocessing, number) for number in range(2)]
        for parts in zip(*(self.batches(pixels, self.precision) for pixels in (images.pixels, *views)), strict=True):
            names = ("", ".view1", ".view2")
            yield {
                f"{key}{name}": array for name, part in zip(names, parts, strict=True) for key, array in part.items()
            }

    def check(self) -> float:
        """Run the golden images in float32; return the largest deviation, or raise `ModelError` if it is too large."""
        if self.goldens is None:
            self.goldens = make_goldens(self)
        pixels, expected = self.goldens
        deviation = float(np.abs(signature(self, pixels) - expected).max() / max(1.0, float(np.abs(expected).max())))
        if not deviation <= TOLERANCE:
            raise ModelError(
                f"{self.name} gives other results here than where it was saved (by {deviation:.2g} of the largest); "
                "do not trust its answers on this computer, and report it"
            )
        return deviation

    def description(self) -> dict[str, Any]:
        """Return data for JSON that describes the model, without its graph, its parameters and its training."""
        data = {
            "network": self.network,
            "layers": self.layers,
            "preprocessing": self.preprocessing.to_data(),
            **describe_task(self.task),
            "mirrored": self.tta == "hflip",
        }
        return data | ({"calibration": self.calibration.to_data()} if self.calibration else {})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file atomically."""
        target = Path(sound_path("the model's file", path))
        self.goldens = pixels, logits = self.goldens or make_goldens(self)
        description = {**self.description(), "graph": to_data(self.graph), "training": self.record}
        if self.quantization:
            description["quantization"] = self.quantization.to_data()
        tensors = {**self.state, "golden.images": pixels, "golden.logits": logits}
        file.write(target, description, tensors)
