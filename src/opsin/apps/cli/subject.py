"""The network or model that a command is about, and its graphs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import opsin
from opsin import nn, zoo
from opsin.apps.cli.open_model import open_model
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import Graph, show

if TYPE_CHECKING:  # the package of models takes longer to load than everything else
    from opsin.model import Model
    from opsin.planning import DefaultStep

MAX_EXTENT = 2**16
"""The most channels, rows or columns of an image."""


@dataclass(frozen=True)
class Subject:
    """A graph with the kinds of its layers, and the model or network that it comes from."""

    name: str
    graph: Graph
    kinds: dict[str, str]
    model: Model | None = field(default=None, repr=False)
    network: nn.Layer | None = field(default=None, repr=False)
    classes: int = 0
    """The number of classes, or of numbers."""

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """Channels, height and width of an image."""
        return self.graph.inputs[0].shape[1:]

    @property
    def subject(self) -> str:
        """What the network is about, such as "10 classes"."""
        if self.model is not None:
            return str(self.model.task.subject())
        units = {"classification": "classes", "segmentation": "classes of pixels", "detection": "classes of objects"}
        return f"{self.classes:,} {units.get(zoo.find(self.name).task, 'numbers')}"

    @property
    def default_step(self) -> DefaultStep:
        """How `opsin train` trains the network; an imported one uses the recipe of unknown networks."""
        if self.model is None:
            task = opsin.planning.task_of(self.name, self.classes, self.input_shape)
            return opsin.planning.default_step(self.name, self.network or nn.Sequential(), task)
        name, task = self.model.network, self.model.task
        layer = zoo.find(name)(task.outputs) if name in zoo.names() else nn.Sequential()
        return opsin.planning.default_step(name, layer, task)

    def training_step(self) -> Graph:
        """Return the graph of the training step that `opsin train` takes."""
        if self.network is None:
            return self.default_step.of_graph(self.graph)
        return self.default_step.of_network(self.network, self.input_shape)


def find_subject(name: str, size: str | None, classes: int | None, option: str = "--input") -> Subject:
    """Return a network of the zoo, for images of `size` and with `classes` if given, or the model in a file.

    `option` is the command's name for the size. Raise `UsageError` if there is neither, or a model is to be resized.
    """
    if name in zoo.names():
        entry = zoo.find(name)
        network, shape = entry(classes), entry.input_shape if size is None else _shape(size, option)
        try:
            return Subject(
                name, nn.trace(network, shape), nn.layer_kinds(network), None, network, classes or entry.classes
            )
        except ShapeError as error:
            raise ShapeError(
                f"{name} does not take {show(shape)} images: {error} (it was made for {show(entry.input_shape)})"
            ) from None
    if not os.path.exists(name):
        try:
            zoo.find(name)
        except UsageError as error:
            raise UsageError(f"{name} is not a model file, and {error}") from None
    if size is not None or classes is not None:
        options = "--input and --classes are" if option == "--input" else f"{option} is"
        raise UsageError(
            f"{name} is a model, and its image size and classes are fixed by its training; "
            f"{options} for the names of networks"
        )
    model = open_model(name)
    return Subject(f"{name} ({model.network})", model.graph, model.layers, model, None, model.task.outputs)


def _shape(text: str, option: str) -> nn.ImageShape:
    """Parse `3x224x224`."""
    extents = text.lower().replace("×", "x").split("x")
    if len(extents) != 3 or not all(
        extent.isascii() and extent.isdigit() and 0 < int(extent) <= MAX_EXTENT for extent in extents
    ):
        raise UsageError(
            f"{option} takes channels, height and width, such as 3x224x224, each from 1 to {MAX_EXTENT:,}; not '{text}'"
        )
    channels, height, width = map(int, extents)
    return channels, height, width
