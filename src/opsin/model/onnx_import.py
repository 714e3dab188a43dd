"""Models from ONNX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.errors import ModelError, OpsinError, UsageError
from opsin.data import Preprocessing
from opsin.data.decode import Crop
from opsin.interop import onnx
from opsin.ir import show
from opsin.ir.arguments import instance, wholes
from opsin.ir.checked import checked
from opsin.model.loading import check_consistency, described_fields
from opsin.model.model import Model
from opsin.model.pretrained import imagenet_labels
from opsin.tasks.classification import Classification
from opsin.tasks.multilabel import MultiLabel
from opsin.tasks.registry import described_task
from opsin.zoo.weights import Preparation

CROP_SHARE = 0.875
"""The side of the central square of ImageNet networks, relative to the image's shorter side: 224 of 256 pixels."""


@checked
def import_onnx(
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    input_shape: tuple[int, int, int] | None = None,
    engine: Engine = compile_native,
    threads: int | None = None,
) -> Model:
    """Import the classifier in an ONNX file as a model for any batch size. See `opsin.interop.onnx.read`.

    The file contains neither the preprocessing nor the names of the classes. A network with 1,000 classes of RGB
    images is assumed to be trained on ImageNet, with the usual preprocessing. For all others, values are scaled to
    0 … 1, or kept as 0 … 255 if the file takes bytes (uint8), and classes are numbered from 0. If that is wrong, pass
    `preprocessing` and `labels`. A network with one output, a sigmoid or its logit, distinguishes the classes '0' and
    '1'; the output is the probability of '1'. One with several sigmoids has independent labels (`Model.independent`).
    `input_shape` (channels, rows, columns) is required if the file leaves sizes free.

    A file that `opsin ship --to onnx` wrote describes all of that, and its task, which may be any.
    """
    if preprocessing is not None:
        instance("preprocessing", preprocessing, Preprocessing, "a Preprocessing, as opsin.data has it")
    if input_shape is not None:
        sizes = wholes("an input shape", input_shape)
        if len(sizes) != 3:
            raise UsageError(f"an input shape is channels, rows and columns, such as (3, 224, 224), not {sizes}")
        input_shape = sizes[0], sizes[1], sizes[2]
    own = _own_model(path, preprocessing, engine, threads)
    if own is not None:
        if labels is not None:
            own.labels = tuple(labels)
        return own
    shape = preprocessing.shape if preprocessing and input_shape is None else input_shape
    network = onnx.read(path, shape, classifier=True)
    (_, channels, rows, columns), (_, classes) = network.graph.inputs[0].shape, network.graph.outputs["logits"].shape
    shape = int(str(channels)), int(str(rows)), int(str(columns))
    count = int(str(classes))
    if preprocessing and preprocessing.shape != shape:
        raise UsageError(f"{path} takes images of {show(shape)}, the preprocessing makes {show(preprocessing.shape)}")
    imagenet = (shape[0], count) == (3, len(imagenet_labels()))
    names = tuple(labels or network.labels or (imagenet_labels() if imagenet else map(str, range(count))))
    if len(names) != count:
        raise UsageError(f"{path} distinguishes {count} classes, but {len(names)} labels were given")
    chosen = preprocessing or _default_preprocessing(shape, imagenet, network.byte_input)
    task = MultiLabel(names) if network.independent else Classification(names)
    return Model(
        Path(path).stem, network.graph, dict(network.state), chosen, task,
        network.layers, {"onnx": _record(network)}, name=str(path), engine=engine, threads=threads,
    )  # fmt: skip


def _own_model(
    path: str | os.PathLike[str], preprocessing: Preprocessing | None, engine: Engine, threads: int | None
) -> Model | None:
    """Return the model in a file that Opsin wrote, with another preprocessing if one is given; None for others."""
    if not onnx.is_own(path):
        return None
    network = onnx.read(path)
    try:
        task = described_task(network.description)
        own = preprocessing or Preprocessing.from_data(network.description["preprocessing"])
        state: dict[str, NDArray[Any]] = dict(network.state)
        check_consistency(network.graph, state, own, task)
        fields = described_fields(network.description, task)
    except OpsinError as error:
        raise ModelError(f"{path} does not describe a valid network: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks a part of the description of a model ({error}); export it again") from None
    record = {"onnx": _record(network)}
    return Model(
        graph=network.graph, state=state, preprocessing=own, task=task, record=record, name=str(path), engine=engine,
        threads=threads, **fields,
    )  # fmt: skip


def _record(network: onnx.Network) -> dict[str, str | int]:
    """Return where a network comes from, and how its outputs were changed."""
    record: dict[str, str | int] = {"producer": network.producer, "opset": network.opset}
    return record | ({"outputs": network.conversion} if network.conversion else {})


def _default_preprocessing(shape: tuple[int, int, int], imagenet: bool, byte_input: bool) -> Preprocessing:
    """Return the usual preprocessing of ImageNet networks, or one that scales bytes to 0 … 1 or keeps them."""
    preparation = Preparation()
    crop = Crop(round(max(shape[1:]) / CROP_SHARE), preparation.interpolation) if imagenet else None
    if imagenet and not byte_input:
        return Preprocessing(*shape, preparation.mean, preparation.std, crop=crop)
    scale = 1 / 255 if byte_input else 1.0
    return Preprocessing(*shape, (0.0,) * shape[0], (scale,) * shape[0], crop=crop)
