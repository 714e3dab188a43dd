"""The view "Through the network": every box of the diagram opens feature maps, kernels and numbers."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from math import prod
from typing import Any, ClassVar

from opsin.explain.channels import observed_step
from opsin.explain.stages import Stage, Step
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.network.activity import activity_of
from opsin.inspection.views.network.kernels import kernels_of
from opsin.inspection.views.network.maps import Maps, as_maps, choose_form, divide, maps_shape
from opsin.inspection.views.network.selection import strongest_channels
from opsin.ir import bind
from opsin.viz.architecture import diagram_of_units
from opsin.viz.diagram import Box

MAP_SHARE, KERNEL_SHARE, THUMBNAIL_SHARE = 0.26, 0.1, 0.04
"""Shares of a page's bytes."""


class NetworkView:
    """The architecture, feature maps before and after each function, and kernels."""

    name: ClassVar[str] = "network"
    title: ClassVar[str] = "Through the network"

    def markup(self, subject: Subject) -> str:
        """Return the diagram of the architecture, in which every box is a link to its stage."""
        numbers = {stage.unit: stage.number for stage in subject.stages}

        def link(box: Box) -> str:
            return f"#{self.name}?stage={numbers[box.units[0]]}"

        model = subject.model
        svg = diagram_of_units([stage.unit for stage in subject.stages], model.network, link)
        drawing = svg.partition("?>")[2]
        label = escape(f"The architecture of {model.network}")
        return (
            "<p>Every box is a stage of the network. Choose one to see what it computes for the image.</p>"
            f'<div class="architecture" tabindex="0" role="group" aria-label="{label}">{without_style(drawing)}</div>'
        )

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any]:
        """Return feature maps of every step, chosen by what they contribute to the explained score, and kernels."""
        subject.progress("feature maps")
        images, values = len(subject.images), subject.observed.values
        shapes = {
            step: maps_shape((images, *bind(step.output.shape[1:], 1)))
            for stage in subject.stages
            for step in stage.steps
        }
        shares = divide(int(MAP_SHARE * subject.budget), [prod(shape) for shape in shapes.values()])
        forms = {step: choose_form(shape, share) for (step, shape), share in zip(shapes.items(), shares, strict=True)}
        maps = {
            step: Maps.of(
                as_maps(values[step.output]), self._channels(subject, stage, step, forms[step].channels), forms[step]
            )
            for stage in subject.stages
            for step in stage.steps
        }
        channels = {stage: maps[stage.steps[0]].channels for stage in subject.stages}
        shown = {stage: maps[step].channels for stage in subject.stages if (step := observed_step(stage))}
        return {
            "stages": [[maps[step].to_data(arrays) for step in stage.steps] for stage in subject.stages],
            "kernels": kernels_of(subject, channels, int(KERNEL_SHARE * subject.budget), arrays),
            "activity": activity_of(subject, shown, int(THUMBNAIL_SHARE * subject.budget), arrays),
            "left_out": _left_out(maps.values()),
        }

    def _channels(self, subject: Subject, stage: Stage, step: Step, count: int) -> list[int]:
        """Return the channels of a step to show: those that the stage's last step uses most, if it has as many."""
        observed, last, own = subject.observed, stage.steps[-1].output, step.output
        channels = [maps_shape(bind(t.shape, 1))[1] for t in (last, own)]
        chosen = last if channels[0] == channels[1] else own
        return strongest_channels(as_maps(observed.values[chosen]), as_maps(observed.gradients[chosen]), count)


def _left_out(maps: Collection[Maps]) -> str:
    count, total = sum(len(each.channels) for each in maps), sum(each.count for each in maps)
    return "" if count == total else f"{count:,} of {total:,} feature maps: those that count most for the answer"


def without_style(svg: str) -> str:
    """Return an SVG document without its style sheet, which the page's own includes."""
    before, _, rest = svg.partition("<style>")
    return before + rest.partition("</style>")[2]
