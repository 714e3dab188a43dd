"""The architecture of a network as an image."""

from __future__ import annotations

from collections.abc import Mapping

from opsin.ir import Graph, show
from opsin.viz.blocks import blocks
from opsin.viz.diagram import Diagram
from opsin.viz.flow import series
from opsin.viz.layout import lay_out
from opsin.viz.legend import add_heading, add_legend
from opsin.viz.svg import write
from opsin.viz.text_metrics import count
from opsin.viz.units import units


def draw(graph: Graph, kinds: Mapping[str, str], title: str) -> Diagram:
    """What leads from the graph's first input to its first output; `kinds` as `nn.layer_kinds` has it."""
    found = units(graph, kinds)
    image = lay_out(blocks(series(found)))
    parameters, macs = sum(unit.parameters for unit in found), sum(unit.macs for unit in found)
    shapes = f"{show(found[0].shape)} → {show(found[-1].shape)}"
    add_heading(image, title, f"{shapes},  {parameters:,} parameters,  {count(macs)} multiply-adds")
    add_legend(image)
    return image


def diagram(graph: Graph, kinds: Mapping[str, str], title: str) -> str:
    """The same as the text of an SVG file."""
    return write(draw(graph, kinds, title), title, f"The layers of {title} from input to output")
