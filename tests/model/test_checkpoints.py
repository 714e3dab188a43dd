"""PyTorch's checkpoints in both formats, written by hand and, where it is installed, by PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from opsin.errors import ModelError
from opsin.model import read_state
from tests.model.checkpoints import (
    call,
    group,
    mapping,
    name,
    number,
    numbers,
    ordered,
    plain,
    storage,
    tensor,
    text,
    whole,
    write_legacy,
    write_state,
    write_zip,
)  # fmt: skip

rng = np.random.default_rng(0)
STATE = {
    "conv.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "conv.bias": rng.normal(size=4),
    "half": rng.normal(size=(2, 5)).astype(np.float16),
    "bn.num_batches_tracked": np.array(12345678901, np.int64),
    "int": np.array([[-(2**31), 7]], np.int32),
    "short": np.array([-3, 300], np.int16),
    "char": np.array([-128, 127], np.int8),
    "byte": np.array([0, 255], np.uint8),
    "bool": np.array([True, False, True]),
    "empty": np.zeros((0, 4), np.float32),
}


def write(path: Path, pickle: bytes, storages: dict[str, np.ndarray[Any, Any]], legacy: bool) -> Path:
    if legacy:
        return write_legacy(path, pickle, {key: (array.size, array.tobytes()) for key, array in storages.items()})
    return write_zip(path, pickle, {key: array.tobytes() for key, array in storages.items()})


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        assert np.array_equal(found[key], array), key


@pytest.fixture(params=[False, True], ids=["zip", "legacy"])
def legacy(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_every_kind_of_number(tmp_path: Path, legacy: bool) -> None:
    assert_same(read_state(write_state(tmp_path / "a.pth", STATE, legacy)), STATE)


def test_bfloat16_becomes_float32(tmp_path: Path, legacy: bool) -> None:
    values = np.array([1.5, -2.0, 3.140625, np.inf], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    pickle = whole(mapping({"a": tensor(storage("0", 4, "BFloat16Storage"), (4,), (1,))}))
    assert_same(read_state(write(tmp_path / "a.pth", pickle, {"0": upper}, legacy)), {"a": values})


def test_views_of_one_storage(tmp_path: Path, legacy: bool) -> None:
    base = np.arange(24, dtype=np.float32)
    stored = storage("7", 24)
    pickle = whole(mapping({
        "transposed": tensor(stored, (4, 6), (1, 4)),
        "part": tensor(stored, (2, 3), (6, 1), offset=8),
        "every": tensor(stored, (3,), (10,), offset=3),
        "scalar": tensor(stored, (), (), offset=23),
        "overlapping": tensor(stored, (4, 5), (1, 1)),
    }))  # fmt: skip
    found = read_state(write(tmp_path / "a.pth", pickle, {"7": base}, legacy))
    assert_same(found, {
        "transposed": base.reshape(6, 4).T,
        "part": np.array([[8, 9, 10], [14, 15, 16]], np.float32),
        "every": base[3::10],
        "scalar": np.array(23, np.float32),
        "overlapping": np.add.outer(np.arange(4), np.arange(5)).astype(np.float32),
    })  # fmt: skip
    assert np.shares_memory(found["transposed"], found["part"])


def test_parameters_and_the_oldest_tensors(tmp_path: Path, legacy: bool) -> None:
    one, hooks = np.arange(6, dtype=np.float32), call("collections.OrderedDict")
    whole_tensor = tensor(storage("0", 6), (2, 3), (3, 1))
    pickle = whole(mapping({
        "parameter": call("torch._utils._rebuild_parameter", whole_tensor, b"\x88", hooks),
        "oldest": call("torch._utils._rebuild_tensor", storage("0", 6), number(0), numbers((6,)), numbers((1,))),
    }))  # fmt: skip
    found = read_state(write(tmp_path / "a.pth", pickle, {"0": one}, legacy))
    assert_same(found, {"parameter": one.reshape(2, 3), "oldest": one})


def test_an_ordered_dictionary_of_pairs_as_python_2_wrote_it(tmp_path: Path) -> None:
    one = np.arange(2, dtype=np.float32)
    pair = b"](U\x01a" + plain("0", one) + b"e"
    pickle = whole(name("collections.OrderedDict") + group(b"](" + pair + b"e") + b"R")
    assert_same(read_state(write_zip(tmp_path / "a.pth", pickle, {"0": one.tobytes()})), {"a": one})


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module."])
def test_checkpoints_of_a_training_run(tmp_path: Path, wrapper: str, prefix: str) -> None:
    weight, momentum = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    optimizer = mapping({"state": b"}(K\x00" + mapping({"momentum_buffer": plain("1", momentum)}) + b"u"})
    pickle = whole(mapping({
        "epoch": number(3), "best": plain("2", np.array(1.0, np.float32)), "lr": b"G" + bytes(8), "name": text("x"),
        "optimizer": optimizer, "milestones": call("collections.Counter", b"}K\x05K\x01s"),
        wrapper: ordered({f"{prefix}fc.weight": plain("0", weight), f"{prefix}fc.bias": plain("1", momentum)}),
    }))  # fmt: skip
    storages = {"0": weight.tobytes(), "1": momentum.tobytes(), "2": bytes(4)}
    found = read_state(write_zip(tmp_path / "a.pth", pickle, storages))
    assert_same(found, {"fc.weight": weight, "fc.bias": momentum})


def test_a_prefix_of_some_names_stays(tmp_path: Path) -> None:
    state = {"module.a": np.ones(1, np.float32), "b": np.ones(1, np.float32)}
    assert list(read_state(write_state(tmp_path / "a.pth", state))) == ["module.a", "b"]


def test_the_folder_in_the_archive_has_any_name(tmp_path: Path) -> None:
    pickle = whole(mapping({"a": plain("0", np.ones(1, np.float32))}))
    path = write_zip(tmp_path / "a.pth", pickle, {"0": np.ones(1, np.float32).tobytes()}, root="resnet18-f37072fd")
    assert list(read_state(path)) == ["a"]


def test_checkpoints_without_tensors_by_name(tmp_path: Path) -> None:
    for pickle, holds in {
        mapping({"epoch": number(1), "args": mapping({})}): "it holds 'epoch', 'args'",
        plain("0", np.ones(1, np.float32)): "it holds something else",
        b"](" + plain("0", np.ones(1, np.float32)) + b"e": "it holds something else",
    }.items():
        path = write_zip(tmp_path / "a.pth", whole(pickle), {"0": bytes(4)})
        with pytest.raises(ModelError, match="without tensors by name") as caught:
            read_state(path)
        assert holds in str(caught.value)
        assert "torch.save(model.state_dict(), FILE)" in str(caught.value)


def test_numbers_of_the_other_byte_order(tmp_path: Path) -> None:
    pickle = whole(mapping({"a": plain("0", np.ones(1, np.float32))}))
    path = write_zip(tmp_path / "a.pth", pickle, {"0": bytes(4)}, byteorder=b"big")
    with pytest.raises(ModelError, match="its numbers are big-endian"):
        read_state(path)
    path = write_state(tmp_path / "b.pth", STATE, legacy=True)
    path.write_bytes(path.read_bytes().replace(text("little_endian") + b"\x88", text("little_endian") + b"\x89"))
    with pytest.raises(ModelError, match="its numbers are big-endian"):
        read_state(path)


def test_what_pytorch_writes(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(4, 2))
    state = network.state_dict()
    state["view"] = torch.randn(6, 5).T[1:, ::2]
    state["shared"] = state["0.weight"]
    state["parameter"] = torch.nn.Parameter(torch.randn(3))
    for kind in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        state[kind] = torch.arange(-2, 3).to(getattr(torch, kind))
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    expected = {key: (t.float() if t.dtype == torch.bfloat16 else t).detach().numpy() for key, t in state.items()}
    assert_same(read_state(tmp_path / "a.pth"), expected)


def test_what_pytorch_writes_of_a_training_run(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    network = torch.nn.DataParallel(torch.nn.Linear(4, 2))
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    network(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    schedule.step()
    checkpoint = {
        "epoch": 1, "best_acc1": torch.tensor(70.1), "state_dict": network.state_dict(),
        "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(),
    }  # fmt: skip
    torch.save(checkpoint, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    expected = {key: value.numpy() for key, value in network.module.state_dict().items()}
    assert_same(read_state(tmp_path / "a.pth"), expected)
    torch.save(network, tmp_path / "b.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"asks for 'torch\.nn\.parallel\.data_parallel\.DataParallel'"):
        read_state(tmp_path / "b.pth")


def test_programs_of_pytorch_are_no_weights(tmp_path: Path) -> None:
    path = write_state(tmp_path / "a.pt", STATE)
    with ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"")
    with pytest.raises(ModelError, match="it is a TorchScript program, not weights alone; save the weights alone"):
        read_state(path)
