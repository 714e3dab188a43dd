"""The view "Step by step": the page computes every value that it shows, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.data import Preprocessing
from opsin.inspection.api import see
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.convolution.view import ConvolutionView
from opsin.ir import Tensor, initial_state
from opsin.model import Model
from opsin.zoo import registry
from tests.explain.networks import TransposedConvolutions
from tests.inspection.node import INSPECTION, needs_node, run

SCRIPT = f"""
const fs = require('fs');
const arithmetic = require({str(INSPECTION / "assets" / "arithmetic.js")!r});
const opsin = {{}};
eval(fs.readFileSync({str(INSPECTION / "views" / "convolution" / "compute.js")!r}, 'utf8'));
const arrays = data.arrays.map(({{ shape, bits }}) => {{
  const buffer = Uint32Array.from(bits).buffer;
  return {{ shape, data: new Float32Array(buffer) }};
}});
const rows = [];
data.stages.forEach((stage, stageNumber) => stage.forEach((step) => {{
  if (!step) return;
  for (let image = 0; image < data.images; image += 1) {{
    const model = new opsin.StepModel(step, (n) => arrays[n], image);
    const part = model.part(model.output);
    let [count, wrong, missing] = [0, 0, 0];
    const every = Math.max(1, Math.floor(part.values.length / 200));
    for (let i = 0; i < part.values.length; i += every) {{
      const column = i % part.columns, row = Math.floor(i / part.columns) % part.rows;
      const channel = Math.floor(i / part.columns / part.rows);
      const place = [part.channels ? part.channels[channel] : channel, row + part.row, column + part.column];
      const result = model.result(step.operations.length - 1, place);
      count += 1;
      if (Number.isNaN(result)) missing += 1;
      if (!arithmetic.isSame(result, part.values[i])) wrong += 1;
    }}
    rows.push([stageNumber, step.name, count, wrong, missing]);
  }}
}}));
return rows;
"""


def model_of(network: nn.Layer, shape: tuple[int, int, int], labels: int = 10) -> Model:
    graph = nn.trace(network, shape)
    rng = np.random.default_rng(3)
    state = {
        name: np.asarray(value + 0.1 * np.abs(rng.standard_normal(np.shape(value))), np.float32)
        if np.asarray(value).dtype == np.float32
        else value
        for name, value in initial_state(graph, 5).items()
    }
    preprocessing = Preprocessing(*shape, (0.5,) * shape[0], (0.25,) * shape[0])
    names = [str(n) for n in range(labels)]
    return Model("test", graph, state, preprocessing, names, nn.layer_kinds(network))


def subject_of(model: Model, count: int = 1) -> Subject:
    shape = model.preprocessing.shape
    images = np.random.default_rng(2).integers(0, 256, (count, *shape), np.uint8)
    return see(model, images).subject


def computed(subject: Subject) -> tuple[list[Any], dict[str, Any], Arrays]:
    """Return (stage, step, values computed, values that differ, values without data) for every step and image."""
    arrays = Arrays()
    data = ConvolutionView().data(subject, arrays)
    assert data is not None
    stored = []
    for entry, part in zip(arrays.entries, arrays.parts, strict=True):
        assert entry["kind"] == "f"
        words = np.ascontiguousarray(np.frombuffer(part, np.uint8).reshape(4, -1).T).view("<u4")
        stored.append({"shape": entry["shape"], "bits": words.reshape(-1).tolist()})
    rows = run(SCRIPT, {"stages": data["stages"], "arrays": stored, "images": len(subject.images)})
    return rows, data, arrays


class Blocks(nn.Layer):
    """Everything that a convolution and a pooling can be: groups, dilation, strides, padding on one side."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(12, (3, 5), stride=(2, 1), padding=((0, 2), (3, 1)))
        self.grouped = nn.Conv2d(24, 3, padding=1, groups=3)
        self.dilated = nn.Conv2d(20, 3, padding=2, dilation=2, bias=False)
        self.norm = nn.BatchNorm2d()
        self.depthwise = nn.Conv2d(20, 3, stride=2, padding=1, groups=20)
        self.wide = nn.Conv2d(48, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.tanh(self.conv(x))
        x = ops.relu(self.grouped(x))
        x = ops.gelu(self.norm(self.dilated(x)))
        x = ops.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = ops.sigmoid(self.depthwise(x))
        x = ops.l2_pool2d(x, 2, 1, 1)
        x = ops.max_pool2d(ops.relu6(self.wide(x)), 3, 2, 1)
        x = ops.local_response_norm(x, 5)
        return ops.reshape(ops.global_avg_pool2d(x), (x.shape[0], 48))


class Decoder(TransposedConvolutions):
    """Maps that grow: transposed convolutions of every kind, and resampling."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.overlapping(ops.relu(self.up(self.encode(x))))
        x = self.dilated(ops.max_pool2d(self.dense(x), 3, 3))
        x = self.depthwise(ops.resample2d(x, (13, 17), "bilinear"))
        x = self.grouped(ops.resample2d(x, (7, 11), "area"))
        x = self.apart(ops.resample2d(x, (9, 10), "bilinear_corners"))
        x = ops.exp(ops.negate(ops.square(ops.upsample(x, 2))))
        return ops.reshape(ops.global_avg_pool2d(x), (x.shape[0], 20))


@needs_node
@pytest.mark.parametrize(
    ("network", "shape", "labels"),
    [
        (registry.create("lenet5"), (1, 28, 28), 10),
        (registry.create("lenet5_1998"), (1, 28, 28), 10),
        (registry.create("mlperf_tiny_resnet8"), (3, 32, 32), 10),
        (Blocks(), (3, 22, 31), 48),
        (Decoder(), (3, 8, 9), 20),
    ],
    ids=["lenet5", "lenet5_1998", "resnet8", "blocks", "decoder"],
)
def test_the_page_computes_the_engines_bits(network: nn.Layer, shape: tuple[int, int, int], labels: int) -> None:
    subject = subject_of(model_of(network, shape, labels), 2)
    rows, data, _ = computed(subject)
    assert [row for row in rows if row[3] or row[4]] == []
    kinds = {
        operation["name"] for stage in data["stages"] for step in stage if step for operation in step["operations"]
    }
    assert kinds >= {"conv2d", "exp", "divide", "max"}
    shown = sum(step is not None for stage in data["stages"] for step in stage)
    assert len(rows) == 2 * shown


@needs_node
def test_large_networks_are_shown_in_part() -> None:
    """The channels and places that are stored are enough to compute the values that are shown."""
    network = nn.Sequential(
        nn.Conv2d(24, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(), nn.ReLU6(),
        nn.Conv2d(24, 3, padding=1, groups=24), nn.ReLU(),
        nn.Conv2d(60, 1, bias=False), nn.BatchNorm2d(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(64, 3, padding=1, groups=2), nn.ReLU(),
        nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(10),
    )  # fmt: skip
    subject = subject_of(model_of(network, (3, 200, 180)), 3)
    rows, data, arrays = computed(subject)
    assert [row for row in rows if row[3] or row[4]] == []
    assert "the arithmetic of" in data["left_out"]
    assert arrays.size <= 0.32 * subject.budget
    first = data["stages"][1][0]["maps"][0]
    assert first["shape"] == [3, 200, 180]
    origins = first["origins"]
    assert len({tuple(origin) for origin in origins}) > 1  # Each image is shown around a place of its own.
