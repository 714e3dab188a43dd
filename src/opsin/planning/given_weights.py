"""Trainings that begin with the weights of a model file: which network, which images, and which layers are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opsin import zoo
from opsin.base.errors import UsageError
from opsin.base.formatting import listed
from opsin.data import Dataset
from opsin.data.decode import Stretch
from opsin.model.model_weights import ModelWeights
from opsin.model.pretrained import starting_network
from opsin.nn.paths import parent
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.transfer import MIN_IMAGES_TO_TUNE
from opsin.tasks.image_defaults import MAX_SMALL_SIDE
from opsin.tasks.registry import CLASSIFICATION
from opsin.training.checks import inference_graph
from opsin.zoo.registry import trunk

WITH_HEADS = ("detection", "segmentation")
"""Tasks whose networks end in a head of their own, and may have a classifier as their backbone."""

MAX_LAYERS = 6
"""New layers that a plan lists."""


def choose_with_weights(summary: DatasetSummary, options: TrainOptions) -> NetworkChoice:
    """Return the network of the weights that the options name, or one that has it as its backbone.

    Images are read as the model reads them, unless the options give a size. Raise `ModelError` if there is no model,
    and `UsageError` if its weights do not suit the task or the network of the options.
    """
    weights = ModelWeights.open(str(options.weights))
    network = options.network or _network_for(weights, summary)
    zoo.find(network)
    weights.check_network(network)
    given = weights.preprocessing
    height = width = options.size or 0
    if not options.size:
        other_head = summary.task is not None and network != weights.network
        side = summary.task.defaults(summary.annotated_images).side if summary.task and other_head else None
        height, width = (side, side) if side else given.size
    channels = 3 if given.channels == 1 and summary.resizable and not summary.grey else given.channels
    weights = weights.for_images(channels, height, width)
    crop = None if summary.task is None else Stretch()
    preprocessing = replace(weights.preprocessing, crop=crop, pixel_range=None)
    weights = replace(weights, preprocessing=preprocessing)
    return NetworkChoice(
        network, False, height if height == width else None, preprocessing if summary.resizable else None,
        (f"{network} begins with {weights}",), summary, weights,
    )  # fmt: skip


def prepared(choice: NetworkChoice, data: Dataset) -> NetworkChoice:
    """Return the choice for `data`, with a reason that says which layers are new.

    Raise `ModelError` if the weights do not suit the network for these images.
    """
    if choice.weights is None:
        return choice
    weights = choice.weights.for_images(*data.train.single().shape)
    if choice.few_shot:
        return replace(choice, weights=weights)
    weights = weights.for_task(data.task)
    layer = starting_network(choice.network, data.task, False, weights)
    graph = inference_graph(layer, data)
    values = weights.state(graph, "" if layer.pretrained is not None else "backbone.")
    new = sorted({parent(name) for name in graph.parameters if name not in values})
    reasons = [_new_layers(new)]
    if data.task.name == CLASSIFICATION and only_begins(choice, len(data.train)):
        reasons.append("all layers are trained as from scratch, because the model is one for small images")
    return replace(choice, weights=weights, reasons=(*choice.reasons, *reasons))


def only_begins(choice: NetworkChoice, images: int) -> bool:
    """Return whether a training on so many images begins with the weights, and is otherwise one from scratch.

    Networks for small images learn from scratch in minutes, so weights of such a network are a better beginning and
    nothing that has to be kept, as those that learned from a million photos are (see `transfer`). Too few images say
    too little about all layers: of them, only the last one is trained.
    """
    if choice.weights is None or images < MIN_IMAGES_TO_TUNE:
        return False
    return max(choice.weights.preprocessing.size) <= MAX_SMALL_SIDE


def _new_layers(paths: Sequence[str]) -> str:
    """Return which layers begin with random values or zeros."""
    if not paths:
        return "all layers have their weights from the model, as it does the same task with the same labels"
    outermost = listed(dict.fromkeys(path.partition(".")[0] for path in paths), MAX_LAYERS, count=False)
    return f"new are the layers without weights in the model: {outermost}"


def _network_for(weights: ModelWeights, summary: DatasetSummary) -> str:
    """Return the network that begins with the weights if none is named. Raise `UsageError` if there is none."""
    task, network = summary.task.name if summary.task else CLASSIFICATION, weights.network
    if network not in zoo.names():
        raise UsageError(
            f"the model in {weights.path} has a network of its own ('{network}'), not one of the zoo; begin with it in "
            "Python: opsin.train(NETWORK, DATA, weights=FILE)"
        )
    if summary.task is None or task not in WITH_HEADS:
        return network if zoo.find(network).task not in WITH_HEADS else trunk(network)
    if zoo.find(network).task == task:
        return network
    defaults = summary.task.defaults(summary.annotated_images)
    others = (name for name in zoo.names() if zoo.find(name).task == task)
    candidates = [defaults.network, defaults.fallback, *others]
    for candidate in candidates:
        if trunk(candidate) == trunk(network):
            return candidate
    suitable = listed(sorted({trunk(candidate) for candidate in candidates}), conjunction="or")
    raise UsageError(
        f"no network for {task} has layers of {network}, whose weights are in {weights.path}; begin with weights of "
        f"{suitable}"
    )
