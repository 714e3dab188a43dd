"""The architecture of a network as a diagram."""

from __future__ import annotations

from collections.abc import Mapping

from opsin.ir import Graph, show
from opsin.viz.blocks import find_blocks
from opsin.viz.diagram import Diagram
from opsin.viz.diagram_svg import write
from opsin.viz.layout import lay_out
from opsin.viz.legend import add_heading, add_legend
from opsin.viz.series_parallel import decompose
from opsin.viz.text_metrics import short_count
from opsin.viz.units import find_units


def draw(graph: Graph, kinds: Mapping[str, str], title: str) -> Diagram:
    """Draw the paths from the graph's first input to its first output; `kinds` is what `nn.layer_kinds` returns."""
    units = find_units(graph, kinds)
    drawing = lay_out(find_blocks(decompose(units)))
    parameters, macs = sum(unit.parameters for unit in units), sum(unit.macs for unit in units)
    shapes = f"{show(units[0].shape)} → {show(units[-1].shape)}"
    add_heading(drawing, title, f"{shapes},  {parameters:,} parameters,  {short_count(macs)} MACs")
    add_legend(drawing)
    return drawing


def diagram(graph: Graph, kinds: Mapping[str, str], title: str) -> str:
    """Return the diagram of a network as the text of an SVG file (see `draw`)."""
    return write(draw(graph, kinds, title), title, f"The layers of {title} from input to output")
