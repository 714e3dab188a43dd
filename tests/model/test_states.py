"""Weights from files and mappings: a model takes all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import ModelError
from opsin.interop.tensors import StoredTensor
from opsin.interop.weights import rename
from opsin.ir import Tensor
from opsin.model import Model, load, read_state
from opsin.zoo.weights import find_weights
from tests.model.checkpoints import write_state
from tests.model.networks import images, reference, small_model

State = Mapping[str, NDArray[Any]]


def write_npz(path: Path, state: State) -> Path:
    np.savez(path, **state)
    return path


def write_compressed(path: Path, state: State) -> Path:
    np.savez_compressed(path, **state)
    return path


def write_safetensors(path: Path, state: State) -> Path:
    save_file({name: np.asarray(array, order="C") for name, array in state.items()}, path)
    return path


WRITERS = {
    "zip.pth": write_state, "legacy.pth": lambda path, state: write_state(path, state, legacy=True),
    "a.npz": write_npz, "compressed.npz": write_compressed, "a.safetensors": write_safetensors,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_weights_from_every_file_type(tmp_path: Path, name: str) -> None:
    model, other = small_model(1), small_model(2)
    path = WRITERS[name](tmp_path / name, {**other.state, "norm.num_batches_tracked": np.array(7)})
    model.predict(images(2))  # a program that is compiled by now gets the weights, too
    model.load_state(path)
    assert model.predict(images(4)) == other.predict(images(4))
    model = small_model(1)
    model.load_state(str(path))
    assert all(np.array_equal(model.state[name], array) for name, array in other.state.items())


def test_npz_and_safetensors_keep_types_and_shapes(tmp_path: Path) -> None:
    state = {
        "a.b": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">i4"),
        "half": np.ones((2, 0), np.float16), "flag": np.array([True, False]), "scalar": np.array(5, np.uint64),
    }  # fmt: skip
    for write in (write_npz, write_compressed):
        actual = read_state(write(tmp_path / "a.npz", state))
        assert {name: (a.shape, a.dtype) for name, a in actual.items()} == {
            name: (a.shape, a.dtype.newbyteorder("=")) for name, a in state.items()
        }
        assert all(np.array_equal(actual[name], array) for name, array in state.items())
    state.pop("big")
    actual = read_state(write_safetensors(tmp_path / "a.safetensors", state))
    assert all(
        np.array_equal(actual[name], array) and actual[name].dtype == array.dtype for name, array in state.items()
    )


def test_safetensors_with_bfloat16(tmp_path: Path) -> None:
    head = b'{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "a").write_bytes(len(head).to_bytes(8, "little") + head + b"\x80\x3f\x20\xc0")
    assert read_state(tmp_path / "a")["w"].tolist() == [1.0, -2.5]


def test_a_model_file_is_a_file_of_weights(tmp_path: Path) -> None:
    small_model(2).save(tmp_path / "a.opsin")
    model = small_model(1)
    model.load_state(tmp_path / "a.opsin")
    assert model.predict(images(3)) == small_model(2).predict(images(3))
    assert read_state(tmp_path / "a.opsin").keys() == model.state.keys()


def test_floats_of_other_widths_become_float32() -> None:
    model, state = small_model(), small_model(2).state
    model.load_state({name: array.astype(np.float16) for name, array in state.items()})
    assert {array.dtype for array in model.state.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(model.state["head.weight"], state["head.weight"], rtol=1e-3)


def change(state: dict[str, Any]) -> None:
    for name in ("conv.bias", "norm.weight"):
        state.pop(name)
    for number in range(5):
        state[f"extra.{number}"] = np.zeros(1)
    state["head.weight"] = np.zeros((10, 12))
    state["head.bias"] = np.zeros(3, np.int64)


@pytest.mark.parametrize("source", ["a file", "a mapping"])
def test_everything_that_does_not_fit_is_told_and_nothing_taken_over(tmp_path: Path, source: str) -> None:
    model, state = small_model(1), dict(small_model(2).state)
    before, answer = dict(model.state), model.predict(images(3))
    change(state)
    with pytest.raises(ModelError) as caught:
        model.load_state(write_state(tmp_path / "a.pth", state) if source == "a file" else state)
    assert str(caught.value).removeprefix(f"{tmp_path / 'a.pth'}: ") == (
        "the weights are not this network's: 2 of its 8 tensors are missing ('conv.bias', 'norm.weight'); "
        "5 unexpected ('extra.0', 'extra.1', 'extra.2', …); "
        "2 have another shape or type ('head.weight' is float64 10 × 12, not float 3 × 48, "
        "'head.bias' is int64 3, not float 3)"
    )
    assert all(model.state[name] is array for name, array in before.items())
    assert model.predict(images(3)) == answer


@pytest.mark.parametrize("content, expected", [
    (b"", "it has no weights that Opsin can read; give a PyTorch (.pth, .pt), safetensors or NPZ file"),
    (b"\x89HDF\r\n\x1a\n" + bytes(99), "it has no weights that Opsin can read"),
    (b"\x80\x04}.", "it has no weights that Opsin can read"),
    (b"PK\x05\x06" + bytes(18), "it is a ZIP archive, but neither PyTorch's nor NumPy's"),
])  # fmt: skip
def test_other_files(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        small_model().load_state(tmp_path / "a.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'a.pth'}: {expected}")


def test_paths_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.pth: there is no such file; give a \.pth"):
        read_state(tmp_path / "no.pth")
    with pytest.raises(ModelError, match="is a folder, not a file of weights"):
        read_state(tmp_path)


def test_goldens_belong_to_the_weights(tmp_path: Path) -> None:
    small_model(1).save(tmp_path / "a.opsin")
    model = load(tmp_path / "a.opsin", engine=reference)
    model.load_state(small_model(2).state)
    model.save(tmp_path / "b.opsin")
    assert load(tmp_path / "b.opsin", engine=reference).check() == 0


class WithAuxiliary(nn.Layer):
    """A network with a classifier that only training uses."""

    def __init__(self) -> None:
        self.conv, self.aux, self.fc = nn.Conv2d(2, 3), nn.Linear(3), nn.Linear(3)

    def forward(self, x: Tensor) -> Tensor:
        flat = nn.Flatten().forward(self.conv(x))
        if self.training:
            self.auxiliary(self.aux(flat), 0.3)
        return self.fc(flat)


def with_auxiliary() -> Model:
    network, like = WithAuxiliary(), small_model()
    graph = nn.trace(network, (1, 8, 9))
    state = nn.initial_state(graph, 0)
    return Model("helped", graph, state, like.preprocessing, like.labels, nn.layer_kinds(network), engine=reference)


def test_tensors_for_training_only_are_ignored() -> None:
    model = with_auxiliary()
    graph = nn.training_graph(WithAuxiliary(), (1, 8, 9), optimizer=nn.optimizers.SGD(0.9))
    program = Reference(graph, 2)
    program.load_state(nn.initial_state(graph, 3))
    assert {"aux.weight", "optimizer.aux.weight.momentum"} <= program.state().keys()
    model.load_state(program.state())
    assert model.state.keys() == {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}
    with pytest.raises(ModelError, match=r"1 unexpected \('flat\.weight'\)"):
        small_model().load_state({**small_model().state, "flat.weight": np.zeros(1)})
    with pytest.raises(ModelError, match=r"1 unexpected \('aux2\.weight'\)"):
        model.load_state({**model.state, "aux2.weight": np.zeros(1)})


def test_old_names_of_densenet_are_accepted() -> None:
    stored = StoredTensor.of(np.zeros(1))
    old = ["features.norm0.weight", "features.denseblock1.denselayer12.norm.1.weight", "f.denselayer3.conv.2.weight"]
    new = ["features.norm0.weight", "features.denseblock1.denselayer12.norm1.weight", "f.denselayer3.conv2.weight"]
    renames = find_weights("densenet121").renames
    assert list(rename(dict.fromkeys(old, stored), (), renames)) == new
    assert list(rename(dict.fromkeys(new, stored), (), renames)) == new
    assert list(rename(dict.fromkeys(old, stored), old, renames)) == old
