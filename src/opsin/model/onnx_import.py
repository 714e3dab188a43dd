"""Models from networks that other programs wrote as ONNX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.data.decode import Crop
from opsin.interop import onnx
from opsin.ir import show
from opsin.ir.arguments import instance, wholes
from opsin.ir.checked import checked
from opsin.model.model import Model
from opsin.model.pretrained import imagenet_labels
from opsin.zoo.weights import Preparation

MIDDLE = 0.875
"""The side of the square that ImageNet's networks usually see, as a share of the image's shorter side: 224 of 256."""


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
    """A model of the classifier in an ONNX file, for any number of images at once. See `opsin.interop.onnx.read`.

    The file says neither how images were prepared nor what its classes are called. A network that tells 1,000 classes
    of RGB images apart is taken for one of ImageNet's, with the preparation that is usual there; every other one
    is given values from 0 to 1, or from 0 to 255 where the file takes bytes (uint8), and its classes are numbered from
    0. Where that is wrong, give `preprocessing` and `labels`. A network with one output, a sigmoid or what goes into
    one, tells two classes apart: '0', and '1', to which it gives the probability. One with several sigmoids gives each
    label a probability of its own (`Model.independent`). `input_shape` (channels, rows, columns) is needed where the
    file leaves sizes free.
    """
    if preprocessing is not None:
        instance("preprocessing", preprocessing, Preprocessing, "a Preprocessing, as opsin.data has it")
    if input_shape is not None:
        sizes = wholes("an input shape", input_shape)
        if len(sizes) != 3:
            raise UsageError(f"an input shape is channels, rows and columns, such as (3, 224, 224), not {sizes}")
        input_shape = sizes[0], sizes[1], sizes[2]
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
        raise UsageError(f"{path} tells {count} classes apart, but {len(names)} labels were given")
    prepared = preprocessing or _preparation(shape, imagenet, network.byte_input)
    return Model(
        Path(path).stem, network.graph, dict(network.state), prepared, names,
        network.layers, {"onnx": {"producer": network.producer, "opset": network.opset}}, name=str(path),
        engine=engine, threads=threads, independent=network.independent,
    )  # fmt: skip


def _preparation(shape: tuple[int, int, int], imagenet: bool, whole: bool) -> Preprocessing:
    """What is usual for ImageNet's networks, or the pixels' values as they are: from 0 to 1, or `whole` numbers."""
    usual = Preparation()
    crop = Crop(round(max(shape[1:]) / MIDDLE), usual.interpolation) if imagenet else None
    if imagenet and not whole:
        return Preprocessing(*shape, usual.mean, usual.std, crop=crop)
    scale = 1 / 255 if whole else 1.0
    return Preprocessing(*shape, (0.0,) * shape[0], (scale,) * shape[0], crop=crop)
