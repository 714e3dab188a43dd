"""A network drawn as text, for the head of a file."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.export.c.names import comment
from opsin.model import Model
from opsin.nn.describe import LayerRow, describe

BAR = 24
"""Characters of the bar of the layer with the most MACs."""


def draw(model: Model) -> Iterator[str]:
    """Yield the lines of a drawing: each layer with its output and its MACs."""
    rows = [row for row in describe(model.graph, model.layers).rows if row.path or row.macs]
    channels, height, width = model.preprocessing.shape
    size = max((len(row.path) for row in rows), default=0)
    kind = max((len(row.kind) for row in rows), default=0)
    largest = max((row.macs for row in rows), default=0)
    yield f"{'image':{size}}  {'':{kind}}  {height} x {width} x {channels}"
    for row in rows:
        bar = "#" * -(-BAR * row.macs // largest) if largest else ""
        macs = f"{row.macs:>15,}  {bar}" if row.macs else ""
        yield comment(f"{row.path:{size}}  {row.kind:{kind}}  {_shape(row):<16}{macs}").rstrip()


def _shape(row: LayerRow) -> str:
    """Return height, width and channels."""
    sizes = [str(size) for size in row.output[1:]]
    return " x ".join([*sizes[1:], sizes[0]] if len(sizes) == 3 else sizes)
