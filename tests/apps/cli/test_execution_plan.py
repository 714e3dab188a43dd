"""`opsin describe --memory` and `--plan`."""

from __future__ import annotations

import json
import re

import pytest

from opsin import nn, zoo
from opsin.apps.cli.main import run
from opsin.backends.native.codegen import host
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.memory_report import memory_report


def output(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["describe", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_memory_is_that_of_the_plan(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capfd, "lenet5", "--memory", "--batch", "256", "--threads", "2")
    assert (code, err) == (0, "")
    entry = zoo.find("lenet5")
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.AdamW())
    total = make_plan(graph, 256, host().target).bytes_with(2)
    assert out.splitlines()[0] == "lenet5: 256 images of 1 × 28 × 28 per step, 2 threads"
    line = next(line for line in out.splitlines() if line.startswith("total"))
    assert line.split()[1] == (f"{total / 1e6:.0f}" if total >= 1e7 else f"{total / 1e6:.2f}")
    stages = [line.split()[0] for line in out.splitlines() if line.startswith(("conv", "pool", "fc", "loss"))]
    assert stages == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3", "loss"]


def test_memory_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = output(capfd, "lenet5", "--memory", "--plan", "--json", "--batch", "8", "--threads", "1")
    data = json.loads(out)
    graph = zoo.find("lenet5")
    plan = make_plan(nn.trace(graph(), graph.input_shape), 8, host().target)
    assert data["prediction"]["memory"]["total"] == memory_report(plan, 1).total == plan.bytes_with(1)
    assert data["training"]["recomputed_macs"] == 0
    assert len(data["prediction"]["calls"]) == len(plan.calls)
    assert {call["direction"] for call in data["prediction"]["calls"]} == {"forward"}


def test_the_cost_of_a_memory_limit_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ("resnet20_cifar", "--batch", "16", "--threads", "2")
    _, whole, _ = output(capfd, *arguments, "--memory", "1GB")
    assert "of the 1,000 MB allowed: nothing has to be recomputed." in whole
    code, out, _ = output(capfd, *arguments, "--memory", "29MB")
    assert code == 0
    assert "29 MB allowed: activations of the forward pass are recomputed in the backward pass" in out
    assert "The results are bit-identical." in out
    cost = next(line for line in out.splitlines() if "MACs" in line)
    assert cost.startswith("which adds no MACs") or re.match(r"which adds [\d,.]+ million MACs to a step \(", cost)


def test_a_limit_that_is_too_low_is_refused_with_the_minimum(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capfd, "lenet5", "--memory", "1MB", "--batch", "64")
    assert (code, out) == (1, "")
    assert err.startswith("Error: this takes at least ")
    assert "MB with a batch of 64, even when activations are computed again instead of kept; 1 MB were allowed" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("2GB",), "Error: '2GB' is a memory limit of training; use it with --memory\n"),
        (("--memory", "much"), "Error: 'much' is not an amount of memory; write 500MB, 5GB or 0\n"),
    ],
)
def test_invalid_limits(arguments: tuple[str, ...], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert output(capfd, "lenet5", *arguments) == (2, "", text)


def test_the_plan_names_algorithms(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = output(capfd, "resnet18", "--plan", "--batch", "1", "--infer")
    assert "Winograd" in out
    assert "layer4.1.conv2" in out
    assert "weight gradient" not in out
    _, exact, _ = output(capfd, "resnet18", "--plan", "--batch", "1", "--infer", "--no-winograd")
    assert "Winograd" not in exact
    _, training, _ = output(capfd, "lenet5", "--plan", "--batch", "64")
    assert "conv2d with add, relu" in training
    assert "per image" in training
    assert training.splitlines()[-1].startswith(f"{sum('  ' in line for line in training.splitlines()) - 1} calls in ")
