"""Diagrams as data: everything is drawn, connected, and without overlaps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from opsin import nn, zoo
from opsin.ir import Graph
from opsin.viz.architecture import draw
from opsin.viz.diagram import CIRCLE, Diagram
from opsin.viz.layout import BORDER, PAGE_WIDTH, row_breaks
from opsin.viz.units import find_units
from tests.viz.geometry import crossings, outside, overlaps
from tests.viz.networks import NETWORKS, traced

FAMILIES = [
    "lenet5", "alexnet", "alexnet_2012", "vgg16", "vgg19_bn", "googlenet", "resnet18", "resnet50", "resnet152",
    "resnet110_cifar", "densenet121", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small",
    "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_lite0", "mlperf_tiny_ds_cnn",
]  # fmt: skip


def of_the_zoo(name: str) -> Callable[[], tuple[Graph, dict[str, str]]]:
    def make() -> tuple[Graph, dict[str, str]]:
        entry = zoo.find(name)
        return traced(entry(), entry.input_shape)

    return make


SOURCES = {name: of_the_zoo(name) for name in FAMILIES} | {
    name: lambda network=network: traced(network()) for name, network in NETWORKS.items()
}
every_network = pytest.mark.parametrize("name", SOURCES)


@cache
def subject(name: str) -> tuple[Graph, dict[str, str], Diagram]:
    graph, kinds = SOURCES[name]()
    return graph, kinds, draw(graph, kinds, name)


@every_network
def test_nothing_overlaps(name: str) -> None:
    _, _, diagram = subject(name)
    assert overlaps(diagram) == []
    assert outside(diagram) == []
    assert list(crossings(diagram)) == []
    assert diagram.width + 2 * BORDER <= PAGE_WIDTH


@pytest.mark.parametrize("name", ["unet", "ssd300_vgg16"])
def test_networks_wider_than_a_page_are_drawn(name: str) -> None:
    """Layers without structures of their own, next to blocks: these networks once had no diagram."""
    graph, kinds = of_the_zoo(name)()
    diagram = draw(graph, kinds, name)
    assert overlaps(diagram) == [] and outside(diagram) == []
    drawn = [unit for box in diagram.boxes for unit in box.units]
    assert 0 < len(drawn) == len(set(drawn)) <= len(find_units(graph, kinds))


@every_network
def test_every_layer_is_drawn_once(name: str) -> None:
    graph, kinds, diagram = subject(name)
    drawn = [unit for box in diagram.boxes for unit in box.units]
    assert len(drawn) == len(set(drawn)) == len(find_units(graph, kinds))
    layers = {row.path for row in nn.describe(graph, kinds).rows}
    assert layers <= {scope for unit in drawn for scope in unit.scopes}
    assert sum(unit.parameters for unit in drawn) == nn.describe(graph).parameters


@every_network
def test_edges_are_what_units_read(name: str) -> None:
    _, _, diagram = subject(name)
    home = {unit: box for box in diagram.boxes for unit in box.units}
    expected = [(home[source], box) for box in diagram.boxes for source in box.units[0].sources]
    assert sorted(map(id_pair, expected)) == sorted(id_pair((edge.source, edge.target)) for edge in diagram.edges)
    for edge in diagram.edges:
        assert edge.points[0] == edge.source.right
        assert edge.points[-1] in (edge.target.left, edge.target.top)


def id_pair(pair: tuple[object, object]) -> tuple[int, int]:
    return id(pair[0]), id(pair[1])


FRAMES = {
    "resnet50": "layer1.0, layer1.1 ×2, layer2.0, layer2.1 ×3, layer3.0, layer3.1 ×5, layer4.0, layer4.1 ×2",
    "resnet110_cifar": "layer1.0 ×18, layer2.0, layer2.1 ×17, layer3.0, layer3.1 ×17",
    "googlenet": ", ".join(f"inception{module}" for module in "3a 3b 4a 4b 4c 4d 4e 5a 5b".split()),
    "mobilenet_v1": "blocks.0.0, blocks.1.0, blocks.1.1, blocks.2.0, blocks.2.1, blocks.3.0, blocks.3.1 ×5, "
    "blocks.4.0, blocks.4.1",
    "vgg16": "",
    "stages": "stage1.0 ×3, stage2.0, stage2.1 ×4",
    "dense": "1.layers.0 ×4",
    "pairs": "blocks.0 ×4",
    "u-net": "",
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_blocks(name: str) -> None:
    _, _, diagram = subject(name)
    actual = [frame.path + (f" ×{frame.copies}" if frame.copies > 1 else "") for frame in diagram.frames]
    assert ", ".join(actual) == FRAMES[name]
    texts = [text.text for text in diagram.texts]
    assert all(f"×{frame.copies}" in texts for frame in diagram.frames if frame.copies > 1)


def test_densely_connected_layers_are_folded() -> None:
    _, _, diagram = subject("densenet121")
    folded = [frame.copies for frame in diagram.frames if frame.copies > 1]
    assert folded == [6, 12, 24, 16]
    texts = [text.text for text in diagram.texts]
    assert "features.denseblock1.denselayer1–6" in texts
    assert "96–256×56×56" in texts
    assert "8,576–29.4 k" in texts


def test_shortcuts_run_above_and_end_in_the_sum() -> None:
    _, _, diagram = subject("resnet18")
    sums = [box for box in diagram.boxes if box.size is CIRCLE]
    assert len(sums) == 7  # the two blocks of layer1 are one
    for box in sums:
        above, straight = sorted((e for e in diagram.edges if e.target is box), key=lambda e: e.points[-1][1])
        assert above.points[-1] == box.top
        assert straight.points[-2:] == (straight.source.right, box.left)
        assert min(y for _, y in above.points) < straight.source.bounds[1]


def test_box_sizes_follow_the_tensors() -> None:
    _, _, diagram = subject("vgg16")
    forms = {box.units[0].shape: box.size for box in diagram.boxes}
    large, half, deep = forms[64, 224, 224], forms[64, 112, 112], forms[512, 14, 14]
    assert large.height == pytest.approx(2**0.5 * half.height)
    assert large.depth_x == pytest.approx(2**0.5 * half.depth_x)
    assert deep.thickness > 2 * half.thickness
    assert forms[4096,].height == pytest.approx(2 * forms[1000,].height, rel=0.05)


def test_a_tall_image_has_tall_boxes() -> None:
    _, _, diagram = subject("mlperf_tiny_ds_cnn")  # images of 49 × 10
    assert diagram.boxes[0].size.height > 5 * diagram.boxes[0].size.depth_x


@pytest.mark.parametrize("name", FAMILIES)
def test_the_legend_contains_what_occurs(name: str) -> None:
    _, _, diagram = subject(name)
    kinds = {box.units[0].kind for box in diagram.boxes}
    assert {key.sample for key in diagram.legend_keys} - {"norm", "activation", "stack"} == kinds


def test_labels_name_layers_and_operations() -> None:
    _, _, diagram = subject("alexnet_2012")
    texts = [text.text for text in diagram.texts]
    for text in ("conv2", "5×5 conv, 2 groups", "256×27×27", "307.5 k", "3×3 max, /2", "local response norm"):
        assert text in texts
    assert "3 × 224 × 224 → 1000,  60,965,224 parameters,  724.4 M MACs" in texts


def test_names_within_a_block_or_a_section_are_short() -> None:
    texts = [text.text for text in subject("efficientnet_b0")[2].texts]
    assert {"features.2.1", "block.0", "fc1"} <= set(texts)
    texts = [text.text for text in subject("vgg16")[2].texts]
    assert texts.count("features") == 2  # once a row
    assert "features.0" not in texts


def test_long_names_are_shortened() -> None:
    graph, kinds = traced(nn.Sequential(("a_name_that_someone_thought_about_for_long", nn.Conv2d(2, 3)), nn.ReLU()))
    texts = [text.text for text in draw(graph, kinds, "long").texts]
    assert "…eone_thought_about_for_long" in texts


@pytest.mark.parametrize(
    ("widths", "stages", "rows"),
    [
        ([300.0] * 3, "aaa", [3]),
        ([250.0] * 8, "aaaabbbb", [4, 4]),
        ([250.0] * 5, "aaabb", [3, 2]),
        ([250.0] * 5, "aabbb", [2, 3]),
        ([100.0, 5000.0, 100.0], "abc", [1, 1, 1]),
    ],
)
def test_rows_break_at_stages(widths: list[float], stages: str, rows: list[int]) -> None:
    actual = row_breaks(widths, stages)
    assert [end - begin for begin, end in actual] == rows
    assert [begin for begin, _ in actual] == [0, *(end for _, end in actual[:-1])]
