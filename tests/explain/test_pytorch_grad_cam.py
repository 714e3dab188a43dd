"""Maps of the library pytorch-grad-cam for a small network, as bench/cam_agreement.py recorded them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import nn
from opsin.data import Preprocessing
from opsin.explain.attribution.display import display_map
from opsin.explain.attribution.question import Question
from opsin.explain.attribution.registry import METHODS
from opsin.explain.map_layers import find_map_layers
from opsin.explain.observer import Observer
from opsin.model import Model
from opsin.tasks.classification import Classification

FIXTURE = Path(__file__).parent / "fixtures" / "pytorch_grad_cam.npz"
TOLERANCES = {"float32": 1e-5, "float64": 5e-7}
"""pytorch-grad-cam adds 1e-7 to divisors, and its maps are float32."""


@pytest.mark.parametrize("precision", TOLERANCES)
def test_maps_agree(precision: str) -> None:
    arrays = dict(np.load(FIXTURE))
    network = nn.Sequential(
        nn.Conv2d(4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2),
    )  # fmt: skip
    task = Classification(("a", "b"))
    model = Model(
        "small", nn.trace(network, (3, 8, 8)), {}, Preprocessing(3, 8, 8, (0.0,) * 3, (1.0,) * 3), task,
        nn.layer_kinds(network),
    )  # fmt: skip
    model.load_state({name[6:]: array for name, array in arrays.items() if name.startswith("state.")})
    observer, inputs = Observer(model, precision=precision), arrays["inputs"]
    compared = 0
    for label, name in enumerate(task.labels):
        (score,) = task.explained_scores({"logits": np.zeros((1, 2), np.float32)}, name)
        layers = find_map_layers(model.graph, score).layers
        assert [layer.name for layer in layers] == ["0", "1", "2", "3", "4"]
        for question in Question(observer, inputs, [score]).with_layers(layers):
            for method in ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam"):
                assert question.layer is not None
                display = display_map(METHODS[method].compute(question)[0].values, (8, 8))
                expected = arrays[f"{method}/{question.layer.name}/{label}"]
                np.testing.assert_allclose(
                    display, expected, rtol=0, atol=TOLERANCES[precision], err_msg=f"{method} {question.layer}"
                )
                compared += 1
    assert compared == 50
