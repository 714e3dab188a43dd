"""Boxes in JavaScript are those of the task, for both kinds of heads."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.export.runtime.script import RUNTIME, runtime_script
from opsin.export.runtime.tasks import task_description
from opsin.model import Model
from opsin.tasks.detection.calibration import ScoreThreshold
from opsin.tasks.detection.task import ObjectDetection

SCRIPT = """
const {description, outputs, size} = JSON.parse(require('fs').readFileSync(0, 'utf8'))
for (const name in outputs) outputs[name] = Float32Array.from(outputs[name])
process.stdout.write(JSON.stringify(ANSWERS.detection(outputs, description, size).detections))
"""


def detector(network: str, size: tuple[int, int]) -> Model:
    """Return an untrained detector."""
    labels = ("cat", "dog", "bird")
    task = ObjectDetection(labels).for_network(network, size)
    layers = zoo.create(network, classes=len(labels))
    graph = nn.trace(layers, (3, *size))
    return Model(network, graph, {}, Preprocessing(3, *size, (0.5,) * 3, (0.25,) * 3), task, nn.layer_kinds(layers))


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize(
    ("network", "size", "score"),
    [
        ("fcos_efficientnet_lite0", (96, 160), None),
        ("fcos_efficientnet_lite0", (128, 128), 0.6),
        ("ssdlite320_mobilenet_v3_large", (320, 320), 0.4),
        ("ssd300_vgg16", (300, 300), 0.7),
    ],
)
def test_boxes_are_those_of_the_task(network: str, size: tuple[int, int], score: float | None) -> None:
    model = detector(network, size)
    if score is not None:
        model.calibration = ScoreThreshold(score, 0.9, 0.8, 0.85, 100)
    head, rng = model.task.head, np.random.default_rng(2)
    outputs = {
        "class_logits": (rng.standard_normal((1, head.count, head.logits)) * 3 - 1).astype(np.float32),
        "box_offsets": rng.uniform(0, 4, (1, head.count, 4)).astype(np.float32),
    }
    (expected,) = model.task.answers(outputs, [(240, 400)], model.calibration, None)
    data = {
        "description": task_description(model),
        "outputs": {name: array.ravel().tolist() for name, array in outputs.items()},
        "size": {"width": 400, "height": 240},
    }
    command = ["node", "-e", runtime_script(RUNTIME) + SCRIPT]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, timeout=60, check=True)
    actual: list[dict[str, Any]] = json.loads(done.stdout)
    assert [each["label"] for each in actual] == [each.label for each in expected] and len(actual) > 20
    for each, other in zip(actual, expected, strict=True):
        assert each["score"] == pytest.approx(other.score, abs=1e-6)
        np.testing.assert_allclose(each["box"], other.box, atol=1e-3)
