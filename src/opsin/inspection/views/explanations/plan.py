"""How much of the analysis a page holds: which answers, layers and methods, within bounds of bytes and of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.explain.attribution.registry import DEFAULT_METHOD, METHODS
from opsin.explain.map_layers import MapLayer
from opsin.inspection.subject import Subject
from opsin.ir import macs

MAX_ANSWERS, ANSWERS_OF_MANY = 3, 1
"""Answers of each image that are explained; the second is for pages about more than `FEW_IMAGES`."""
FEW_IMAGES = 3
MAX_LAYERS, MAX_SIDE = 4, 56
"""Layers that can be chosen, and the largest side of their maps."""

MAX_MACS = 150e9
"""MACs of the forward passes that measure faithfulness; more are left out, and the page says so."""
MAX_MEASURED_MACS = 2e12
"""MACs of the forward passes for the faithfulness of one map and of all baselines: about twenty seconds of a core."""
PASSES = 28
"""Forward passes that measure one map."""
BASELINE_MAPS = 5

SLOW_METHODS = {"occlusion": 200, "integrated-gradients": 300}
"""Methods that need many passes, and how many about."""


@dataclass(frozen=True)
class Plan:
    """What is computed for each image."""

    answers: int
    layer_methods: tuple[str, ...]
    image_methods: tuple[str, ...]
    """Methods of the whole image, for the first answer only."""
    measured: tuple[str, ...]
    """Methods whose faithfulness is measured, for the first answer only; none if there are many images."""
    left_out: str

    @classmethod
    def of(cls, subject: Subject) -> Plan:
        """Return the plan for a page."""
        passes = MAX_MACS / max(1, macs(subject.model.graph.nodes)) / len(subject.images)
        layer_methods = tuple(name for name, method in METHODS.items() if method.needs_layer)
        image_methods = tuple(
            name for name, method in METHODS.items() if not method.needs_layer and SLOW_METHODS.get(name, 1) <= passes
        )
        count = int(passes / PASSES) - BASELINE_MAPS
        order = [DEFAULT_METHOD, *(name for name in (*layer_methods, *image_methods) if name != DEFAULT_METHOD)]
        few = len(subject.images) <= FEW_IMAGES
        one = macs(subject.model.graph.nodes) * PASSES * (1 + BASELINE_MAPS) * len(subject.images)
        least = 1 if few and one <= MAX_MEASURED_MACS else 0
        measured = tuple(order[: max(least, count)])
        missing = [METHODS[name].title for name in METHODS if name not in (*layer_methods, *image_methods)]
        unmeasured = [METHODS[name].title for name in (*layer_methods, *image_methods) if name not in measured]
        parts = []
        if missing:
            parts.append(f"explanations without {' and '.join(missing)}, which take long for this network")
        if not measured:
            reason = "this network" if few else "so many images"
            parts.append(f"no faithfulness of these maps, which takes long for {reason}")
        elif unmeasured:
            parts.append(f"no faithfulness of {', '.join(unmeasured)}")
        return cls(MAX_ANSWERS if few else ANSWERS_OF_MANY, layer_methods, image_methods, measured, "; ".join(parts))


def chosen_layers(layers: Sequence[MapLayer], default: int) -> list[MapLayer]:
    """Return the default layer, and before it the last one of each larger size, as far as maps stay small."""
    chosen = [layers[default]]
    for layer in reversed(layers[:default]):
        is_new = (layer.rows, layer.columns) != (chosen[-1].rows, chosen[-1].columns)
        if is_new and max(layer.rows, layer.columns) <= MAX_SIDE and len(chosen) < MAX_LAYERS:
            chosen.append(layer)
    return chosen
