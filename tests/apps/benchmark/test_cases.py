"""What is asked for, as cases; and the files of a case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.apps.benchmark.cases import STANDARD, Case, cases, parse_batches, prepare
from opsin.base.errors import UsageError


def test_names_batches_and_sizes() -> None:
    actual = cases(["lenet5:1,64", "resnet18"], ["infer"], [2], None, 3)
    assert actual == [
        Case("lenet5", "infer", 1, (1, 28, 28), 3),
        Case("lenet5", "infer", 64, (1, 28, 28), 3),
        Case("resnet18", "infer", 2, (3, 224, 224), 3),
    ]
    assert cases(["resnet18"], ["train"], [], 64, 1) == [Case("resnet18", "train", 16, (3, 64, 64), 1)]
    assert str(actual[0]) == "lenet5, inference, batch 1, 1 × 28 × 28, 3 threads"


def test_standard_cases() -> None:
    usual = cases([], ["train", "infer"], [], None, 1)
    assert len(usual) == len(STANDARD["train"]) + 11
    assert {case.batch for case in cases([], ["train"], [4], None, 1)} == {4}


@pytest.mark.parametrize("text", ["", "1,", "0", "-1", "2.5", "many", "9999999"])
def test_batches_are_whole_numbers(text: str) -> None:
    with pytest.raises(UsageError, match=r"'x' must have numbers from 1 to 4,096, separated by commas"):
        parse_batches(text, "x")


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UsageError, match="there is no network called 'resnet19'; did you mean resnet"):
        cases(["resnet19:4"], ["train"], [], None, 1)


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lenet5 does not take 1 × 8 × 8 images"):
        prepare(Case("lenet5", "infer", 1, (1, 8, 8), 1), tmp_path)


def test_a_case_is_the_same_every_time(tmp_path: Path) -> None:
    case = Case("mlperf_tiny_resnet8", "infer", 2, (3, 32, 32), 1)
    actual = []
    for name in "ab":
        (tmp_path / name).mkdir()
        files = prepare(case, tmp_path / name)
        assert files.onnx is not None
        actual.append((dict(np.load(files.weights)), dict(np.load(files.inputs)), files.onnx.read_bytes()))
    (weights, inputs, onnx), (second, others, same) = actual
    assert onnx == same and weights.keys() == second.keys()
    assert all((weights[key] == second[key]).all() for key in weights)
    assert all((inputs[key] == others[key]).all() for key in inputs)
    statistics = np.concatenate([v for k, v in weights.items() if k.endswith("running_var")])
    assert 0.5 <= statistics.min() < 0.9 and statistics.max() > 1.1  # neither 0 nor 1, which folding could leave out
    assert files.macs == 2 * 12_501_632


def test_other_tasks_have_targets_in_the_shapes_of_their_outputs(tmp_path: Path) -> None:
    files = prepare(Case("unet", "train", 2, (3, 32, 48), 1), tmp_path)
    inputs = dict(np.load(files.inputs))
    assert {name: values.shape for name, values in inputs.items()} == {
        "inputs": (2, 3, 32, 48),
        "target0": (2, 2, 32, 48),
    }
    assert files.description.loss == "mean_squared_error" and files.macs > 0
    files = prepare(Case("unet", "infer", 2, (3, 32, 48), 1), tmp_path)
    assert dict(np.load(files.inputs)).keys() == {"inputs"} and files.onnx is not None


def test_training_counts_all_three_products(tmp_path: Path) -> None:
    case = Case("lenet5", "train", 4, (1, 28, 28), 1)
    files = prepare(case, tmp_path)
    forward, first = 416_520, 117_600  # the images' own gradient is not needed
    assert files.onnx is None and files.macs == 4 * (3 * forward - first)
