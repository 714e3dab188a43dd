"""`opsin ship --to torch`: PyTorch's modules load the file and give the same logits."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

import opsin
from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.model import Model
from tests.interop.onnx.zoo import trained_state

PYTHON = os.environ.get("OPSIN_TORCHVISION", "")
"""An interpreter with torchvision, which the tests need not have installed themselves."""

NETWORKS = ("resnet18", "mobilenet_v3_small", "googlenet", "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0")

COMPUTE = """
import json, sys
import numpy, torch, torchvision
from safetensors.torch import load_file
for name in json.loads(sys.argv[2]):
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    module = torchvision.models.get_model(name, weights=None, **extra).eval()
    module.load_state_dict(load_file(f"{sys.argv[1]}/{name}.safetensors"))
    images = torch.from_numpy(numpy.load(f"{sys.argv[1]}/images.npy"))
    with torch.no_grad():
        numpy.save(f"{sys.argv[1]}/{name}.npy", module(images).numpy())
"""


def model(name: str, side: int = 64) -> Model:
    graph = nn.trace(zoo.create(name), (3, side, side))
    preparation = Preprocessing(3, side, side, (0.0,) * 3, (1.0,) * 3)
    return Model(name, graph, trained_state(graph), preparation, [str(number) for number in range(1000)])


def test_the_file_is_the_state_under_its_own_names(digits: Model, tmp_path: Path) -> None:
    path = opsin.ship(digits, "torch", tmp_path / "digits.safetensors").save(tmp_path / "digits.safetensors")
    tensors = load(path.read_bytes())
    assert tensors.keys() == digits.state.keys() and "conv1.weight" in tensors
    assert all(np.array_equal(tensors[name], array) for name, array in digits.state.items())
    other = opsin.load(digits.name)
    other.load_state(path)
    assert np.array_equal(other.state["conv1.weight"], digits.state["conv1.weight"])


def test_torchvision_loads_the_file_and_gives_the_same_logits(tmp_path: Path) -> None:
    if not PYTHON:
        pytest.skip("OPSIN_TORCHVISION names no interpreter with torchvision")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), np.uint8)
    np.save(tmp_path / "images.npy", images.astype(np.float32) / 255)
    expected: dict[str, Any] = {}
    for name in NETWORKS:
        each = model(name)
        opsin.ship(each, "torch", tmp_path / f"{name}.safetensors")
        expected[name] = each.logits(images)
    subprocess.run(
        [PYTHON, "-W", "ignore", "-c", COMPUTE, str(tmp_path), json.dumps(NETWORKS)], check=True, timeout=300
    )
    for name, logits in expected.items():
        difference = np.abs(np.load(tmp_path / f"{name}.npy") - logits).max()
        assert difference <= 1e-5 * np.ptp(logits), name
