"""The layers that a class activation map may show: the feature maps that everything passes through.

A map of a layer explains a score only if the whole score is computed from that layer. These layers are cut points of
the graph (dominators), which the graph itself knows: no layer is named by hand, and nested layers, layers that are used
twice and residual connections make no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.ir import Graph, Tensor, bind
from opsin.ir.cut_points import cut_points, suffix
from opsin.nn.receptive_field import PixelSpan, receptive_spans
from opsin.tasks.explained_score import ExplainedScore

MIN_REACH = 7
"""Rows and columns of a default layer that a score depends on at least, if the layer has as many: with fewer, a map is
hardly more than a dot. The last maps of most classifiers of photos have as many."""

POINTWISE = {"relu", "relu6", "sigmoid", "tanh", "negate", "absolute", "exp"}
"""Operations whose output has the shape of their input, value by value."""


@dataclass(frozen=True, eq=False)
class MapLayer:
    """Feature maps, N × channels × rows × columns, through which everything passes on its way to a score."""

    name: str
    """The path of the layer, with "#2" for its second use, and so on."""
    tensor: Tensor
    channels: int
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.name} ({self.channels} × {self.rows} × {self.columns})"


@dataclass(frozen=True, eq=False)
class MapLayers:
    """The layers of one score, in the order of the graph, and the number of the `default` one; None without layers."""

    layers: tuple[MapLayer, ...]
    default: int | None

    def find(self, name: str | None) -> MapLayer:
        """Return the layer called `name`, or the last one within a layer of that path; None: the default.

        Raise `UsageError` if there is none.
        """
        if self.default is None:
            raise UsageError(
                "this network has no feature maps that everything passes through on the way to this answer; "
                "take 'occlusion', 'gradient' or 'integrated-gradients', which need no layer"
            )
        if name is None:
            return self.layers[self.default]
        matches = [
            layer for layer in self.layers if layer.name == name or layer.name.startswith((f"{name}.", f"{name}#"))
        ]
        if not matches:
            names = [layer.name for layer in self.layers]
            similar = get_close_matches(name, names, n=3, cutoff=0.5) or names[-5:]
            raise UsageError(
                f"'{name}' is no layer that everything passes through on the way to this answer; take "
                f"{', '.join(similar)}, or leave it out"
            )
        return matches[-1]


def find_map_layers(graph: Graph, score: ExplainedScore) -> MapLayers:
    """Return the layers of `score`.

    The default is the last one with several rows and columns, before these are reduced, as Selvaraju et al. (2017)
    recommend. Where they are not reduced, as in the head of a detector, it is the last one before the convolution that
    gives the answer, of which enough places count for the score: a box of a detector depends on a few places of the
    last maps.
    """
    sinks = [_source(graph.outputs[name], weights != 0) for name, weights in score.weights.items()]
    if len(sinks) != 1:
        return MapLayers((), None)
    ((sink, counts),) = sinks
    points = [t for t in cut_points(graph.inputs[0], sink) if _is_map(t)]
    if not points:
        return MapLayers((), None)
    followers = [*points[1:], None]
    layers = _named([t for t, next_one in zip(points, followers, strict=True) if not _continues(t, next_one)])
    candidates = list(range(len(layers)))
    if points[-1] is sink:
        convolution = max((number for number, t in enumerate(points) if _is_convolution(t)), default=0)
        candidates = [n for n in candidates if layers[n].tensor in points[:convolution]] or candidates
        rest = Graph(graph.inputs, {"sink": sink})
        broad = next((n for n in reversed(candidates) if _is_broad(rest, layers[n], counts)), candidates[-1])
        return MapLayers(layers, broad)
    wide = [n for n in candidates if min(layers[n].rows, layers[n].columns) > 1] or candidates
    return MapLayers(layers, wide[-1])


def _is_broad(graph: Graph, layer: MapLayer, counts: NDArray[np.bool_]) -> bool:
    """Whether the values of the output "sink" that count (1 × C × H × W) depend on enough places of a layer.

    A value at the border depends on fewer, but counts as one inside.
    """
    rest = suffix(graph, layer.tensor)
    rows, columns = receptive_spans(rest)[rest.outputs["sink"]]
    in_rows, in_columns = counts.any(axis=(0, 1, 3)), counts.any(axis=(0, 1, 2))
    return all(
        max(span.extent, _reach(span, np.flatnonzero(places))) >= min(MIN_REACH, size)
        for span, places, size in ((rows, in_rows, layer.rows), (columns, in_columns, layer.columns))
    )


def _reach(span: PixelSpan, places: NDArray[np.intp]) -> int:
    """Return how many positions the outputs at `places` depend on together."""
    known = np.minimum(places, len(span) - 1)
    return int(span.last[known].max() - span.first[known].min()) + 1


def _source(tensor: Tensor, counts: NDArray[np.bool_]) -> tuple[Tensor, NDArray[np.bool_]]:
    """Return the earliest tensor from which the values of `tensor` that count are only copied or mapped one by one.

    The second result says which of its values count, 1 × its shape.

    A detector joins the maps of several heads; a box comes from one of them.
    """
    mask = counts[None]
    while True:
        node, attrs = tensor.node, tensor.node.attrs
        if node.op.name == "concat":
            parts = np.split(mask, np.cumsum([_sizes(t)[attrs["axis"]] for t in node.inputs])[:-1], attrs["axis"])
            used = [(t, part) for t, part in zip(node.inputs, parts, strict=True) if part.any()]
            if len(used) != 1 or attrs["axis"] == 0:
                return tensor, mask
            tensor, mask = used[0]
        elif node.op.name == "reshape":
            (tensor,) = node.inputs
            mask = mask.reshape(_sizes(tensor))
        elif node.op.name == "transpose":
            mask = mask.transpose(np.argsort(attrs["axes"]))
            (tensor,) = node.inputs
        elif node.op.name in POINTWISE:
            (tensor,) = node.inputs
        else:
            return tensor, mask


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(str(size)) for size in bind(tensor.shape, 1))


def _is_map(tensor: Tensor) -> bool:
    """Whether a tensor has channels, rows and columns, and more than one place."""
    return tensor.rank == 4 and tensor.node.op.name != "transpose" and max(_sizes(tensor)[2:]) > 1


def _continues(tensor: Tensor, following: Tensor | None) -> bool:
    """Whether the next cut point is a further step of the same layer, such as a bias after a convolution."""
    return following is not None and tensor.node.scope == following.node.scope and tensor.shape == following.shape


def _is_convolution(tensor: Tensor) -> bool:
    return tensor.node.op.name in ("conv2d", "conv_transpose2d")


def _named(tensors: list[Tensor]) -> tuple[MapLayer, ...]:
    uses: dict[str, int] = {}
    layers = []
    for tensor in tensors:
        path = tensor.node.scope or tensor.node.op.name
        uses[path] = uses.get(path, 0) + 1
        name = path if uses[path] == 1 else f"{path}#{uses[path]}"
        layers.append(MapLayer(name, tensor, *_sizes(tensor)[1:]))
    return tuple(layers)
