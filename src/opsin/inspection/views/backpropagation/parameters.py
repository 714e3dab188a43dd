"""The parameters of the view: their numbers, the maps behind their gradients, and their updates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from opsin.explain.backpropagation.backward import Floats
from opsin.explain.backpropagation.chain import Chain
from opsin.explain.backpropagation.taps import sliding, windows
from opsin.explain.backpropagation.terms import Terms
from opsin.explain.backpropagation.updates import RULES, Step
from opsin.explain.backpropagation.uses import CONV, LINEAR, SCALE, TRANSPOSED, Use
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.views.backpropagation.selection import Part, ranked


class ParameterData:
    """Turns parts of parameters into data of the page, for one image."""

    def __init__(self, chain: Chain, steps: dict[str, tuple[Step, Step]], arrays: Arrays) -> None:
        """`steps` are the engine's two steps of every rule, by its key, of the parts alone."""
        self.chain, self.steps, self.arrays = chain, steps, arrays
        self.backward, self.values = chain.backward, chain.values
        self.terms = Terms(self.backward, self.values)

    def of(self, part: Part, differences: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the data of one parameter; `differences` are its central differences."""
        backward, name = self.backward, part.name
        order = self.terms.order(name)
        path = self.chain.to(name)
        return {
            "name": name,
            "kind": part.use.kind,
            "layer": part.use.node.scope or name,
            "shape": list(backward.model.state[name].shape),
            "axes": [list(axis) for axis in part.axes],
            "path": [self.chain.numbers[step] for step in path],
            "lines": self.chain.parameter_lines(name),
            "order": asdict(order) if order else None,
            "weights": self._add(part, backward.model.state[name]),
            "gradients": self._add(part, self.values.gradients[backward.parameters[name]]),
            "updates": {
                rule.key: {
                    "first": self.arrays.add(self.steps[rule.key][0].state[name]),
                    "gradients": self.arrays.add(self.steps[rule.key][1].gradients[name]),
                    "second": self.arrays.add(self.steps[rule.key][1].state[name]),
                }
                for rule in RULES
            },
            "uses": [self._use(use, part) for use in backward.uses[name] if use.output in self.values.gradients],
            "differences": differences,
            "start": self._largest(part),
        }

    def _add(self, part: Part, values: Floats) -> int:
        return self.arrays.add(part.take(values))

    def _largest(self, part: Part) -> list[int]:
        """Return the place of the weight with the largest gradient of the part."""
        gradients = self.values.gradients[self.backward.parameters[part.name]]
        return ranked(part, gradients, 1)[0]

    def _use(self, use: Use, part: Part) -> dict[str, Any]:
        """Return δ and the values that the weights multiply: maps by channel, or vectors."""
        if use.kind == LINEAR:
            parts = self._vectors(use, part)
        elif use.kind in (CONV, TRANSPOSED):
            parts = self._windows(use, part)
        else:
            parts = self._by_channel(use, part)
        return {"layer": use.node.scope, **parts}

    def _windows(self, use: Use, part: Part) -> dict[str, Any]:
        delta, image = self.values.gradients[use.output], self.values.values[use.image]
        small, large = (image, delta) if use.kind == TRANSPOSED else (delta, image)
        slide, weights = sliding(use, large.shape[2:]), self.backward.model.state[part.name]
        (top, _), (left, _) = slide.padding
        depth, per_group = weights.shape[1], len(weights) // use.node.attrs["groups"]
        channels = sorted({k // per_group * depth + c for k in part.axes[0] for c in part.axes[1]})
        return {
            "stride": list(slide.stride), "dilation": list(slide.dilation), "padding": [top, left],
            "depth": depth, "perGroup": per_group,
            "small": {k: self.arrays.add(small[0, k]) for k in part.axes[0]},
            "large": {c: self.arrays.add(large[0, c]) for c in channels},
        }  # fmt: skip

    def _by_channel(self, use: Use, part: Part) -> dict[str, Any]:
        """Return δ of each channel, and for a scale what it multiplies."""
        maps, factors = {}, {}
        axis = int(np.argmax([len(places) for places in part.axes]))
        for place in part.axes[axis]:
            index = tuple(place if n == axis else 0 for n in range(len(part.axes)))
            window = windows(use, self.values, index)
            maps[place] = self.arrays.add(window.delta)
            if use.kind == SCALE:
                factors[place] = self.arrays.add(window.values)
        return {"small": maps, "factors": factors or None}

    def _vectors(self, use: Use, part: Part) -> dict[str, Any]:
        index = tuple(axis[0] for axis in part.axes)
        window = windows(use, self.values, index)
        delta = self.values.gradients[use.output]
        return {"inputs": self.arrays.add(window.image), "deltas": self.arrays.add(np.atleast_2d(delta)),
                "outputAxis": part_axis(use)}  # fmt: skip


def part_axis(use: Use) -> int:
    """Return the axis of a linear layer's weight that numbers its outputs."""
    attrs = use.node.attrs
    if use.node.inputs[0] is use.image:
        return 0 if attrs["transpose_b"] else 1
    return 1 if attrs["transpose_a"] else 0
