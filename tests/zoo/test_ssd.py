"""SSD and SSDLite against torchvision's, by what `tools/make_detector_fixtures.py` wrote down."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.ir import Graph
from tests.support import Array
from tests.zoo import drawn_detections, seeding
from tests.zoo.agreement import load

FOUND: dict[str, Array] = dict(np.load(Path(__file__).parent / "fixtures/detectors.npz"))
NAMES = sorted(drawn_detections.SIDES)


@cache
def trace(name: str) -> Graph:
    return nn.trace(zoo.create(name), (3, *drawn_detections.IMAGE_SIZES[name]))


def difference(program: Program, name: str) -> float:
    """The largest difference of an output, as a share of its largest number."""
    load(program, name)
    found = program.run(inputs=drawn_detections.image(name))
    differences = []
    for key, values in found.items():
        sample, expected = seeding.sample(key, values), FOUND[f"{name}/{key}"]
        differences += [abs(sample[0] / expected[0] - 1), np.abs(sample - expected)[1:].max() / np.ptp(expected[1:])]
    return float(max(differences))


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes(name: str) -> None:
    shapes = {key: tuple(shape) for key, shape in json.loads(FOUND[f"{name}/variables"].tobytes()).items()}
    assert {key: tensor.shape for key, tensor in trace(name).variables.items()} == shapes


@pytest.mark.parametrize(("name", "parameters", "boxes"), [(NAMES[0], 35_641_826, 8732), (NAMES[1], 3_440_060, 3234)])
def test_sizes_match_the_publication(name: str, parameters: int, boxes: int) -> None:
    entry = zoo.find(name)
    graph = nn.trace(entry(), entry.input_shape)
    assert nn.describe(graph).parameters == parameters
    assert [tensor.shape[1:] for tensor in graph.outputs.values()] == [(boxes, 91), (boxes, 4)]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_natively(name: str) -> None:
    assert difference(compile_native(trace(name), 1, threads=1), name) < 1e-3


def test_outputs_in_double_precision() -> None:
    name = "ssdlite320_mobilenet_v3_large"
    assert difference(Reference(trace(name), 1, np.float64), name) < 1e-9


def test_the_norm_of_the_first_map_is_fixed_at_first() -> None:
    initial = {name: t.node.attrs["init"] for name, t in trace("ssd300_vgg16").variables.items()}
    assert initial["backbone.scale_weight"] == ("constant", 20.0)
    assert initial["head.classification_head.module_list.0.bias"] == ("constant", 0)
    kind, bound = initial["backbone.extra.1.0.weight"]
    assert kind == "uniform"
    assert bound == pytest.approx((6 / (256 + 1024)) ** 0.5)


def test_images_that_are_too_small_are_errors() -> None:
    nn.trace(zoo.ssd300_vgg16(2), (3, 268, 268))
    with pytest.raises(ShapeError, match="this network takes 268 × 268 and larger ones, and was given 267 × 300"):
        nn.trace(zoo.ssd300_vgg16(2), (3, 267, 300))
    nn.trace(zoo.ssdlite320_mobilenet_v3_large(2), (3, 33, 40))
