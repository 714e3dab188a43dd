"""The architecture of a network as a picture."""

from __future__ import annotations

from collections.abc import Mapping

from opsin.graph import Graph, show
from opsin.seeing.blocks import blocks
from opsin.seeing.flow import series
from opsin.seeing.layout import lay_out
from opsin.seeing.legend import add_heading, add_legend
from opsin.seeing.lettering import count
from opsin.seeing.picture import Picture
from opsin.seeing.svg import write
from opsin.seeing.units import units


def draw(graph: Graph, kinds: Mapping[str, str], title: str) -> Picture:
    """What leads from the graph's first input to its first output; `kinds` as `nn.layer_kinds` has it."""
    found = units(graph, kinds)
    picture = lay_out(blocks(series(found)))
    parameters, macs = sum(unit.parameters for unit in found), sum(unit.macs for unit in found)
    shapes = f"{show(found[0].shape)} → {show(found[-1].shape)}"
    add_heading(picture, title, f"{shapes},  {parameters:,} parameters,  {count(macs)} multiply-adds")
    add_legend(picture)
    return picture


def diagram(graph: Graph, kinds: Mapping[str, str], title: str) -> str:
    """The same as the text of an SVG file."""
    return write(draw(graph, kinds, title), title, f"The layers of {title} from input to output")
