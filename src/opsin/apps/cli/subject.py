"""The network or the model that a command is about, and the graphs of it that may be run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import opsin
from opsin import nn, zoo
from opsin.apps.cli.models import open_model
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import Graph, show

if TYPE_CHECKING:  # the room of models takes longer to load than all the rest
    from opsin.model import Model
    from opsin.planning import DefaultStep

LARGEST = 2**16
"""Channels, rows or columns of an image."""


@dataclass(frozen=True)
class Subject:
    """What is described: its graph, the layers' kinds, and what a model adds, or the network."""

    name: str
    graph: Graph
    kinds: dict[str, str]
    model: Model | None = field(default=None, repr=False)
    network: nn.Layer | None = field(default=None, repr=False)

    @property
    def input_shape(self) -> tuple[Any, ...]:
        return self.graph.inputs[0].shape[1:]

    @property
    def classes(self) -> Any:
        return self.graph.outputs["logits"].shape[-1]

    @property
    def default_step(self) -> DefaultStep:
        """How `opsin train` trains the network; an imported one learns by the recipe for networks of any name."""
        if self.network is not None:
            return opsin.planning.default_step(self.name, self.network)
        name = self.model.network if self.model else ""
        layer = zoo.find(name)(int(self.classes)) if name in zoo.names() else nn.Sequential()
        return opsin.planning.default_step(name, layer)

    def step(self) -> Graph:
        """Return the training step that `opsin train` takes."""
        if self.network is None:
            return self.default_step.of_graph(self.graph)
        return self.default_step.of_network(self.network, self.input_shape)


def find_subject(what: str, size: str | None, classes: int | None, option: str = "--input") -> Subject:
    """A network of the zoo, for images of another size and so many classes if that is asked for; or a model file.

    `option` is what the command calls the size.
    """
    if what in zoo.names():
        entry = zoo.find(what)
        network, shape = entry(classes), entry.input_shape if size is None else _shape(size, option)
        try:
            return Subject(what, nn.trace(network, shape), nn.layer_kinds(network), network=network)
        except ShapeError as error:
            raise ShapeError(
                f"{what} does not take {show(shape)} images: {error} (it was made for {show(entry.input_shape)})"
            ) from None
    if not os.path.exists(what):
        try:
            zoo.find(what)
        except UsageError as error:
            raise UsageError(f"{what} is no model file, and {error}") from None
    if size is not None or classes is not None:
        asked = "--input and --classes go" if option == "--input" else f"{option} goes"
        raise UsageError(
            f"{what} is a model, whose size of images and classes are what it was trained with; "
            f"{asked} with the name of a network"
        )
    model = open_model(what)
    return Subject(f"{what} ({model.network})", model.graph, model.layers, model)


def _shape(text: str, option: str) -> nn.ImageShape:
    """`3x224x224` as numbers."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST for part in parts):
        raise UsageError(
            f"{option} takes channels, rows and columns, such as 3x224x224, each from 1 to {LARGEST:,}; not '{text}'"
        )
    channels, rows, columns = map(int, parts)
    return channels, rows, columns
