"""ResNet-8 in 8-bit integers on an emulated Cortex-M4: code, flash, memory and instructions stay below their limits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.model.int8 import MIN_IMAGES

NAME, KIB = "mlperf_tiny_resnet8", 1024
MAX_CODE, MAX_FLASH, MAX_RAM = 6 * KIB, 87 * KIB, 36 * KIB
MAX_STREAMED_RAM = 17 * KIB
MAX_INSTRUCTIONS_PER_MAC = 1.25


@pytest.fixture(scope="module")
def model() -> Model:
    network, shape = zoo.create(NAME), zoo.find(NAME).input_shape
    graph = nn.trace(network, shape)
    labels = [str(number) for number in range(10)]
    preprocessing = Preprocessing(*shape, (0.5,) * 3, (0.25,) * 3)
    model = Model(NAME, graph, nn.initial_state(graph, 1), preprocessing, labels, nn.layer_kinds(network))
    model.quantize(np.random.default_rng(0).integers(0, 256, (MIN_IMAGES, *preprocessing.input_shape), np.uint8))
    return model


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm", "make"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    path = tmp_path_factory.mktemp("limits") / NAME
    opsin.ship(model, "c", path, precision="int8", measure=True)
    return path


def test_sizes(folder: Path) -> None:
    certificate = json.loads((folder / "certificate.json").read_text())
    (row,) = (row for row in certificate["compilers"] if "cortex-m4" in row["options"])
    assert row["code"] <= MAX_CODE
    assert row["flash"] <= MAX_FLASH
    assert certificate["ram_bytes"] <= MAX_RAM


def test_ram_of_streamed_networks(model: Model) -> None:
    certificate = json.loads(opsin.ship(model, "c", precision="int8", stream=True).files["certificate.json"])
    assert certificate["ram_bytes"] <= MAX_STREAMED_RAM
    assert certificate["rows_at_a_time"] == 11, "all layers but the last"


def test_instructions(folder: Path) -> None:
    line = ["make", "-s", "-C", "cortex-m", "run", "BOARD=mps2-an386"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"instructions of \w+_run: (\d+)", done.stdout + done.stderr)
    assert found
    macs = json.loads((folder / "certificate.json").read_text())["macs"]
    assert 0.5 < int(found[1]) / macs <= MAX_INSTRUCTIONS_PER_MAC
