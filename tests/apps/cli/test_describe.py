"""`opsin describe`: options, tables of large networks, diagrams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from opsin import nn, zoo
from opsin.apps.cli.layer_tree import layer_tree
from tests.viz.networks import NETWORKS, traced


@pytest.fixture
def describe(cli: Any) -> Any:
    """Calls `opsin describe` with arguments."""
    return partial(cli, "describe")


def test_another_image_size_and_number_of_classes(describe: Any) -> None:
    code, out, err = describe("lenet5", "--input", "3x32x20", "--classes", 26)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "lenet5: 3 × 32 × 20 images, 26 classes"
    assert out.splitlines()[3].split()[:7] == ["conv1", "Conv2d", "6", "×", "32", "×", "20"]
    assert describe("lenet5", "--input", "3×32×20", "--classes", 26).out == out


@pytest.mark.parametrize("size", ["224", "3x224", "3x0x224", "axbxc", "3x224x224x1", "3x-1x5", "3x1e2x5", "3x70000x5"])
def test_invalid_sizes(describe: Any, size: str) -> None:
    code, out, err = describe("lenet5", f"--input={size}")
    assert (code, out) == (2, "")
    assert err == (
        f"Error: --input takes channels, height and width, such as 3x224x224, each from 1 to 65,536; not '{size}'\n"
    )


def test_a_size_that_the_network_cannot_take(describe: Any) -> None:
    code, out, err = describe("lenet5", "--input", "1x8x8")
    assert (code, out) == (1, "")
    assert err == (
        "Error: lenet5 does not take 1 × 8 × 8 images: layer conv2: conv2d: kernel 5 × 5 is larger than the padded "
        "input 4 × 4; add padding or feed larger images (it was made for 1 × 28 × 28)\n"
    )
    code, _, err = describe("alexnet", "--input", "3x28x28")
    assert code == 1
    for part in ("alexnet does not take 3 × 28 × 28 images", "layer features.", "takes 63 × 63 and larger ones"):
        assert part in err
    code, _, err = describe("lenet5", "--classes", 1)
    assert (code, err) == (2, "Error: a network needs at least two classes, not 1\n")


def test_the_size_of_a_model_is_fixed(describe: Any, tmp_path: Path) -> None:
    (tmp_path / "m.opsin").write_bytes(b"anything")
    for option in (("--input", "3x8x8"), ("--classes", 3)):
        code, _, err = describe(tmp_path / "m.opsin", *option)
        assert code == 2
        assert err.startswith(f"Error: {tmp_path}/m.opsin is a model, and its image size and classes are fixed by its")
        assert "--input and --classes are for the names of networks" in err


def test_total_memory(describe: Any) -> None:
    out = describe("lenet5").out
    assert "Predicting one image takes 284.5 kB: 246.8 kB for the parameters, 37.6 kB for activations." in out
    assert "--memory shows what a training step takes, with the optimizer that `opsin train` would use." in out
    data = json.loads(describe("lenet5", "--json").out)
    assert data["parameter_memory"] == 4 * 61706


def test_groups_have_sums_and_equal_blocks_are_folded(describe: Any) -> None:
    lines = describe("resnet50").out.splitlines()
    assert len(lines) < 125
    starts = {line.strip().split("   ")[0] for line in lines}
    assert {"layer1", "1–2 ×2", "1–3 ×3", "1–5 ×5", "downsample"} <= starts
    (stage,) = (line for line in lines if line.startswith("layer3 "))
    assert stage.split()[1:7] == ["1024", "×", "14", "×", "14", "7,098,368"]
    assert lines[-2].startswith("×n: n equal blocks")
    assert "×n" not in describe("lenet5").out


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "googlenet", "efficientnet_b0"])
def test_every_row_is_in_one_entry_per_depth(name: str) -> None:
    rows = nn.describe(nn.trace(zoo.create(name), (3, 64, 64))).rows
    entries = list(layer_tree(rows))
    assert [row for entry in entries if entry.depth == 0 for row in entry.rows] == list(rows)
    for place, entry in enumerate(entries):
        below = list(takewhile(lambda other, depth=entry.depth: other.depth > depth, entries[place + 1 :]))
        inner = [row for other in below if other.depth == entry.depth + 1 for row in other.rows]
        assert inner == ([] if len(entry.rows) == 1 else list(entry.rows[: len(entry.rows) // entry.copies]))


def test_equal_and_evenly_growing_blocks_are_folded() -> None:
    def heads(name: str) -> list[tuple[str, int]]:
        graph, kinds = traced(NETWORKS[name]())
        return [
            (e.name, e.copies) for e in layer_tree(nn.describe(graph, kinds).rows) if len(e.rows) > 1 or e.copies > 1
        ]

    assert ("0–2", 3) in heads("stages")
    assert ("1–4", 4) in heads("stages")
    assert ("0–3", 4) in heads("pairs")
    assert all(copies == 1 for _, copies in heads("u-net"))
    described = nn.describe(nn.trace(zoo.create("densenet121"), (3, 64, 64)))
    folded = [(entry.name, entry.copies) for entry in layer_tree(described.rows) if entry.copies > 1]
    assert folded == [(f"denselayer1–{count}", count) for count in (6, 12, 24, 16)]


def test_diagram(describe: Any, tmp_path: Path) -> None:
    path = tmp_path / "lenet5.svg"
    code, out, err = describe("lenet5", "--diagram", path)
    assert (code, err) == (0, "")
    assert out.endswith(f"\n{path} shows the architecture.\n")
    texts = [text.text for text in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("lenet5") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["lenet5.svg"]
    before = path.read_bytes()
    data = json.loads(describe("lenet5", "--json", "--diagram", path).out)
    assert data["name"] == "lenet5"
    assert path.read_bytes() == before


def test_diagrams_that_cannot_be_written(describe: Any, tmp_path: Path) -> None:
    code, out, err = describe("lenet5", "--diagram", "lenet5.png")
    assert (code, out) == (2, "")
    assert err == "Error: the diagram is an SVG file: call it lenet5.svg instead of lenet5.png\n"
    path = tmp_path / "no" / "lenet5.svg"
    code, out, err = describe("lenet5", "--diagram", path)
    assert (code, out) == (2, "")
    assert err == f"Error: {path} cannot be written: No such file or directory; name another file\n"
    (tmp_path / "folder.svg").mkdir()
    code, _, err = describe("lenet5", "--diagram", tmp_path / "folder.svg")
    assert code == 2
    assert "cannot be written: Is a directory" in err
    assert [file.name for file in tmp_path.iterdir()] == ["folder.svg"]


def test_describing_a_network_loads_no_compiler() -> None:
    program = (
        "import sys; from opsin.apps.cli.main import run; run(['describe', 'lenet5']); "
        "print([name for name in ('llvmlite', 'PIL', 'opsin.model', 'opsin.viz') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
