"""Cells of several rows or boxes: branches that merge, irregular regions, and framed blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from opsin.base.concurrency import lazy
from opsin.viz.cells import (
    FORK_WIDTH,
    FRAME_PADDING,
    LANE_GAP,
    LINE_HEIGHT,
    LabeledBox,
    OpenEdges,
    Row,
    close_edges,
    extended,
)
from opsin.viz.diagram import STYLES, Diagram, DiagramText, Frame
from opsin.viz.text_metrics import text_width


@dataclass(frozen=True)
class MergePoint:
    """Branches that fork from one edge, and the box in which they merge.

    The branch with the number `main_branch` runs straight and the others above it. Without a main branch, all are
    spread evenly around the line.
    """

    branches: tuple[Row, ...]
    main_branch: int | None
    join: LabeledBox

    @lazy
    def lanes(self) -> list[float]:
        """The height of each branch, relative to the line."""
        if self.main_branch is None:
            rows, middle = self.branches, len(self.branches) // 2
            tops = accumulate((row.above + row.below + LANE_GAP for row in rows[:-1]), initial=0.0)
            lanes = [top + row.above for top, row in zip(tops, rows, strict=True)]
            centre = (lanes[middle] + lanes[~middle]) / 2
            return [lane - centre for lane in lanes]
        lanes, top = [0.0] * len(self.branches), -max(self.branches[self.main_branch].above, self.join.above)
        side_branches = [number for number in range(len(self.branches)) if number != self.main_branch]
        for number in sorted(side_branches, key=lambda number: not self.branches[number].cells):  # shortcuts outermost
            lanes[number] = top - LANE_GAP - self.branches[number].below
            top = lanes[number] - self.branches[number].above
        return lanes

    @lazy
    def length(self) -> float:
        """The width of the longest branch."""
        return max(row.width for row in self.branches)

    @property
    def width(self) -> float:
        return 2 * FORK_WIDTH + self.length + self.join.width

    @lazy
    def above(self) -> float:
        return max(self.join.above, *(row.above - lane for row, lane in zip(self.branches, self.lanes, strict=True)))

    @lazy
    def below(self) -> float:
        return max(self.join.below, *(row.below + lane for row, lane in zip(self.branches, self.lanes, strict=True)))

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        fork, meet = x + FORK_WIDTH / 2, x + FORK_WIDTH * 1.5 + self.length
        join = self.join.box(x + 2 * FORK_WIDTH + self.length, y)
        for row, lane in zip(self.branches, self.lanes, strict=True):
            slack = self.length - row.width
            begin = x + FORK_WIDTH + (slack if self.main_branch is None else slack / 2)
            entering = extended(open_edges, (fork, y), (fork, y + lane)) if lane else open_edges
            leaving = row.place(diagram, begin, y + lane, entering)
            if not lane:
                close_edges(diagram, leaving, join)
            elif self.main_branch is None:
                close_edges(diagram, extended(leaving, (meet, y + lane), (meet, y)), join)
            else:
                close_edges(diagram, extended(leaving, (join.top[0], y + lane)), join, join.top)
        self.join.draw(diagram, join)
        return ((join, ()),)


@dataclass(frozen=True)
class IrregularCell:
    """The boxes of an irregular region, in a row. Edges between neighbours run straight, and the others above the row.

    `reads` are the positions of the boxes that each box reads, -1 for the edge that enters; `outputs` are the positions
    of those that are read outside.
    """

    boxes: tuple[LabeledBox, ...]
    reads: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]

    @lazy
    def arcs(self) -> dict[tuple[int, int], int]:
        """The level of each edge that runs above the row; edges are pairs of positions."""
        edges = [(source, place) for place, sources in enumerate((*self.reads, self.outputs)) for source in sources]
        return {edge: level for level, edge in enumerate(edge for edge in edges if edge[1] - edge[0] > 1)}

    @lazy
    def row(self) -> Row:
        return Row(self.boxes, gap=FORK_WIDTH)

    @property
    def width(self) -> float:
        return self.row.width + 2 * FORK_WIDTH

    @property
    def above(self) -> float:
        return self.row.above + LANE_GAP * (1 + len(self.arcs))

    @property
    def below(self) -> float:
        return self.row.below

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        outgoing = {-1: (open_edges, x + FORK_WIDTH / 2)}
        place = x + FORK_WIDTH
        for number, labeled_box in enumerate(self.boxes):
            box = labeled_box.box(place, y)
            labeled_box.draw(diagram, box)
            for source in self.reads[number]:
                edges, fork = outgoing[source]
                if (level := self.arcs.get((source, number))) is None:
                    close_edges(diagram, edges, box)
                else:
                    height = y - self.row.above - LANE_GAP * (1 + level)
                    corners = (fork, y), (fork, height), (box.top[0], height)
                    close_edges(diagram, extended(edges, *corners), box, box.top)
            place += labeled_box.width + FORK_WIDTH
            outgoing[number] = ((box, ()),), place - FORK_WIDTH / 2
        return self._leaving(y, outgoing, place)

    def _leaving(self, y: float, outgoing: dict[int, tuple[OpenEdges, float]], end: float) -> OpenEdges:
        """Return the edges that leave."""
        leaving: OpenEdges = ()
        for source in self.outputs:
            edges, fork = outgoing[source]
            if (level := self.arcs.get((source, len(self.boxes)))) is not None:
                height = y - self.row.above - LANE_GAP * (1 + level)
                edges = extended(
                    edges, (fork, y), (fork, height), (end - FORK_WIDTH / 2, height), (end - FORK_WIDTH / 2, y)
                )
            leaving += edges
        return leaving


@dataclass(frozen=True)
class FramedRow:
    """A row in a frame with a title. Several identical copies are drawn as a stack, with their number."""

    row: Row
    path: str
    title: str
    note: str
    copies: int

    @property
    def stack_offset(self) -> float:
        """How far the frames of the other copies stick out."""
        return 6.0 if self.copies > 1 else 0.0

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines above the row, and their styles."""
        lines = [(text, style) for text, style in ((self.title, "title"), (self.note, "faint")) if text]
        return lines or [("", "faint")]

    @lazy
    def width(self) -> float:
        widths = [text_width(text, *STYLES[style]) for text, style in self.lines]
        if self.copies > 1:
            widths[0] += text_width(f"×{self.copies}", *STYLES["badge"]) + 8
        return max(self.row.width, *widths) + 2 * FRAME_PADDING + self.stack_offset

    @property
    def above(self) -> float:
        return self.row.above + FRAME_PADDING + LINE_HEIGHT * len(self.lines) + self.stack_offset

    @property
    def below(self) -> float:
        return self.row.below + FRAME_PADDING

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        top, right = y - self.above + self.stack_offset, x + self.width - self.stack_offset
        diagram.frames.append(Frame((x, top, right, y + self.below), self.copies, self.path))
        for number, (text, style) in enumerate(self.lines, start=1):
            diagram.texts.append(DiagramText(x + FRAME_PADDING, top + LINE_HEIGHT * number, text, style, "start"))
        if self.copies > 1:
            diagram.texts.append(
                DiagramText(right - FRAME_PADDING, top + LINE_HEIGHT + 1, f"×{self.copies}", "badge", "end")
            )
        slack = self.width - self.stack_offset - self.row.width
        return self.row.place(diagram, x + slack / 2, y, open_edges)
