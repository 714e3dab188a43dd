"""Checkpoints of training scripts: the weights are found, and the log reports which ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import nn
from opsin.base.errors import ModelError
from opsin.model import Model, read_state
from tests.model.checkpoints import mapping, number, plain, text, whole, write_zip
from tests.model.networks import LABELS, small_model, small_network
from tests.model.test_states import WRITERS

State = Mapping[str, NDArray[Any]]

RAW, MEAN = small_model(2).state, small_model(3).state
ONE = {"w": np.ones(1, np.float32)}


def prefixed(prefix: str, state: State) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{name}": array for name, array in state.items()}


def write_checkpoint(path: Path, tree: Mapping[str, Any]) -> Path:
    """Dictionaries in dictionaries, of arrays, numbers and text."""
    storages: dict[str, bytes] = {}

    def code(value: Any) -> bytes:
        if isinstance(value, Mapping):
            return mapping({name: code(item) for name, item in value.items()})
        if isinstance(value, np.ndarray):
            key = str(len(storages))
            storages[key] = value.tobytes()
            return plain(key, value)
        return number(value) if isinstance(value, int) else text(value)

    return write_zip(path, whole(code(tree)), storages)


def same(model: Model, state: State) -> bool:
    return all(np.array_equal(model.state[name], array) for name, array in state.items())


COUNT = np.array(7, np.int64)
MEANS_FIRST = "averaged ones, which usually predict better, not those under"
CHECKPOINTS: dict[str, tuple[Mapping[str, Any], State, str]] = {
    "averaged model": ({"n_averaged": COUNT, **prefixed("module.", RAW)}, RAW,
                       "removed the prefix 'module.' from every name"),
    "lightning": ({"state_dict": {**prefixed("model.", RAW), "criterion.weight": ONE["w"]}, "hyper_parameters": ONE},
                  RAW,
                  "used the weights under 'state_dict'; used the tensors with the prefix 'model.', not the "
                  "1 other ('criterion.weight')"),
    "net": (prefixed("net.", RAW), RAW, "removed the prefix 'net.' from every name"),
    "any name": (prefixed("a.b.", RAW), RAW, "removed the prefix 'a.b.' from every name"),
    "compiled, parallel": (prefixed("module._orig_mod.", RAW), RAW,
                           "removed the prefix 'module._orig_mod.' from every name"),
    "both": ({"state_dict": RAW, "state_dict_ema": MEAN}, MEAN,
             f"used the weights under 'state_dict_ema', {MEANS_FIRST} 'state_dict'; read_state(path, part='state_dict"),
    "torchvision": ({"model": RAW, "model_ema": {"n_averaged": COUNT, **prefixed("module.", MEAN)}, "epoch": 3}, MEAN,
                    f"used the weights under 'model_ema', {MEANS_FIRST} 'model'"),
    "incomplete means": ({"net": RAW, "ema": {"norm.bias": MEAN["norm.bias"]}}, RAW, "used the weights under 'net'"),
    "means alone": ({"ema_state_dict": MEAN}, MEAN, "used the weights under 'ema_state_dict'"),
    "twice": ({"state_dict": {"model": RAW}}, RAW, "used the weights under 'state_dict.model'"),
    "teacher": ({**prefixed("student.", RAW), **prefixed("teacher.", MEAN)}, MEAN,
                "used the tensors with the prefix 'teacher.', not the 8 others ('student.conv.weight', "),
    "with an optimizer": ({"network": RAW, "optimizer": {"state": prefixed("x.", RAW)}, "name": "x"}, RAW,
                          "used the weights under 'network'"),
    "an unusual name": ({"my_weights": RAW, "epoch": 3}, RAW, "used the weights under 'my_weights'"),
    "two networks": ({"generator": ONE, "critic": RAW}, RAW, "used the weights under 'critic', 'generator' together; "
                     "used the tensors with the prefix 'critic.', not the 1 other ('generator.w')"),
    "as it is": (RAW, RAW, ""),
}  # fmt: skip


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_the_weights_are_found_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str) -> None:
    tree, expected, said = CHECKPOINTS[what]
    model, path = small_model(1), write_checkpoint(tmp_path / "a.pth", tree)
    model.load_state(path)
    assert same(model, expected)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == bool(said)
    assert all(line.startswith(f"{path}: {said}") for line in lines)


@pytest.mark.parametrize("name", WRITERS)
def test_every_file_type(tmp_path: Path, name: str) -> None:
    model = small_model(1)
    model.load_state(WRITERS[name](tmp_path / name, prefixed("backbone.", RAW)))
    assert same(model, RAW)
    assert read_state(tmp_path / name).keys() == RAW.keys()


def test_a_mapping(caplog: pytest.LogCaptureFixture) -> None:
    model = small_model(1)
    model.load_state(prefixed("encoder.", RAW))
    assert same(model, RAW)
    assert caplog.messages == ["the weights: removed the prefix 'encoder.' from every name"]


def test_a_named_part(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a.pth", {"a": {"net": RAW}, "net_ema": MEAN})
    model = small_model(1)
    model.load_state(read_state(path, part="a.net"))
    assert same(model, RAW)
    with pytest.raises(ModelError, match=r"without tensors under 'b' \(it contains 'a', 'net_ema'\)"):
        read_state(path, part="b")


def test_prefixes_of_the_network_itself_are_kept(tmp_path: Path) -> None:
    """A model of Opsin's may well call its layers so, and what was written from it goes back into it."""
    network = nn.Sequential(("net", small_network()))
    graph = nn.trace(network, (1, 8, 9))
    state, other = (nn.initial_state(graph, seed) for seed in (1, 2))
    assert all(name.startswith("net.") for name in state)
    for name, write in WRITERS.items():
        path = write(tmp_path / name, other)
        for source in (path, read_state(path)):  # without the names' beginning
            model = Model("x", graph, dict(state), small_model().preprocessing, LABELS, nn.layer_kinds(network))
            model.load_state(source)
            assert same(model, other)


def test_missing_names_are_reported_without_the_prefix(tmp_path: Path) -> None:
    state = prefixed("model.", {name: array for name, array in RAW.items() if name != "conv.bias"})
    with pytest.raises(ModelError, match=r"1 of its 8 tensors are missing \('conv.bias'\)$"):
        small_model(1).load_state(write_checkpoint(tmp_path / "a.pth", {"state_dict": state}))
