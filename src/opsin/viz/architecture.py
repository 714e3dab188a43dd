"""The architecture of a network as a diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsin.ir import Graph, show
from opsin.viz.blocks import find_blocks
from opsin.viz.diagram import Diagram
from opsin.viz.diagram_svg import Link, write
from opsin.viz.layout import lay_out
from opsin.viz.legend import add_heading, add_legend
from opsin.viz.series_parallel import decompose
from opsin.viz.text_metrics import short_count
from opsin.viz.units import Unit, find_units


def draw(graph: Graph, kinds: Mapping[str, str], title: str) -> Diagram:
    """Draw the paths from the graph's first input to its first output; `kinds` is what `nn.layer_kinds` returns."""
    return draw_units(find_units(graph, kinds), title)


def draw_units(units: Sequence[Unit], title: str) -> Diagram:
    """Draw the units that `find_units` returns."""
    drawing = lay_out(find_blocks(decompose(units)))
    parameters, macs = sum(unit.parameters for unit in units), sum(unit.macs for unit in units)
    shapes = f"{show(units[0].shape)} → {show(units[-1].shape)}"
    add_heading(drawing, title, f"{shapes},  {parameters:,} parameters,  {short_count(macs)} MACs")
    add_legend(drawing)
    return drawing


def diagram(graph: Graph, kinds: Mapping[str, str], title: str) -> str:
    """Return the diagram of a network as the text of an SVG file (see `draw`)."""
    return diagram_of_units(find_units(graph, kinds), title)


def diagram_of_units(units: Sequence[Unit], title: str, link: Link | None = None) -> str:
    """Return the diagram of the units that `find_units` returns. With `link`, its boxes are links."""
    return write(draw_units(units, title), title, f"The layers of {title} from input to output", link)
