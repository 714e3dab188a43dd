"""PyTorch checkpoints in both formats, assembled by hand and, if it is installed, written by PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from opsin.base.errors import ModelError
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


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(actual) == list(expected)
    for key, array in expected.items():
        assert (actual[key].dtype, actual[key].shape) == (array.dtype, array.shape), key
        assert np.array_equal(actual[key], array), key


@pytest.fixture(params=[False, True], ids=["zip", "legacy"])
def legacy(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_every_dtype(tmp_path: Path, legacy: bool) -> None:
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
    actual = read_state(write(tmp_path / "a.pth", pickle, {"7": base}, legacy))
    assert_same(actual, {
        "transposed": base.reshape(6, 4).T,
        "part": np.array([[8, 9, 10], [14, 15, 16]], np.float32),
        "every": base[3::10],
        "scalar": np.array(23, np.float32),
        "overlapping": np.add.outer(np.arange(4), np.arange(5)).astype(np.float32),
    })  # fmt: skip
    assert np.shares_memory(actual["transposed"], actual["part"])


def test_parameters_and_the_oldest_tensors(tmp_path: Path, legacy: bool) -> None:
    one, hooks = np.arange(6, dtype=np.float32), call("collections.OrderedDict")
    whole_tensor = tensor(storage("0", 6), (2, 3), (3, 1))
    pickle = whole(mapping({
        "parameter": call("torch._utils._rebuild_parameter", whole_tensor, b"\x88", hooks),
        "oldest": call("torch._utils._rebuild_tensor", storage("0", 6), number(0), numbers((6,)), numbers((1,))),
    }))  # fmt: skip
    actual = read_state(write(tmp_path / "a.pth", pickle, {"0": one}, legacy))
    assert_same(actual, {"parameter": one.reshape(2, 3), "oldest": one})


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
    actual = read_state(write_zip(tmp_path / "a.pth", pickle, storages))
    assert_same(actual, {"fc.weight": weight, "fc.bias": momentum})


def test_a_prefix_of_some_names_stays(tmp_path: Path) -> None:
    state = {"module.a": np.ones(1, np.float32), "b": np.ones(1, np.float32)}
    assert list(read_state(write_state(tmp_path / "a.pth", state))) == ["module.a", "b"]


def test_the_folder_in_the_archive_has_any_name(tmp_path: Path) -> None:
    pickle = whole(mapping({"a": plain("0", np.ones(1, np.float32))}))
    path = write_zip(tmp_path / "a.pth", pickle, {"0": np.ones(1, np.float32).tobytes()}, root="resnet18-f37072fd")
    assert list(read_state(path)) == ["a"]


def test_checkpoints_without_tensors_by_name(tmp_path: Path) -> None:
    for pickle, holds in {
        mapping({"epoch": number(1), "args": mapping({})}): "it contains 'epoch', 'args'",
        plain("0", np.ones(1, np.float32)): "it contains another object",
        b"](" + plain("0", np.ones(1, np.float32)) + b"e": "it contains another object",
    }.items():
        path = write_zip(tmp_path / "a.pth", whole(pickle), {"0": bytes(4)})
        with pytest.raises(ModelError, match="without tensors by name") as caught:
            read_state(path)
        assert holds in str(caught.value)
        assert "torch.save(model.state_dict(), FILE)" in str(caught.value)


def test_numbers_of_the_other_byte_order(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64, np.int16, np.uint8, np.bool_):
        values = np.array([1, 0, 7, 200]).astype(dtype)
        pickle, stored = whole(mapping({"a": plain("0", values)})), values.astype(values.dtype.newbyteorder(">"))
        path = write_zip(tmp_path / "a.pth", pickle, {"0": stored.tobytes()}, byteorder=b"big")
        assert_same(read_state(path), {"a": values})
    with pytest.raises(ModelError, match="damaged"):
        read_state(write_zip(tmp_path / "a.pth", pickle, {"0": bytes(4)}, byteorder=b"middle"))
    path = write_state(tmp_path / "b.pth", STATE, legacy=True)
    path.write_bytes(path.read_bytes().replace(text("little_endian") + b"\x88", text("little_endian") + b"\x89"))
    with pytest.raises(ModelError, match="its elements are big-endian"):
        read_state(path)


DTYPE = name("torch.float32")
REAL = b"G" + bytes(8)
LATIN = call("_codecs.encode", text("ab"), text("latin1"))
OTHER_DATA = {
    "type": DTYPE, "device": call("torch.device", text("cuda"), number(0)), "frozen": call("builtins.frozenset", b"]"),
    "set": call("__builtin__.set", b"](K\x01K\x02e"), "complex": call("__builtin__.complex", REAL, REAL),
    "bytes": LATIN, "byte array": call("__builtin__.bytearray", LATIN), "size": call("torch.Size", numbers([2, 3])),
    "layout": call("torch.serialization._get_layout", text("torch.strided")),
    "options": name("argparse.Namespace") + b")\x81" + mapping({"lr": number(1)}) + b"b",
    "path": call("pathlib.PosixPath", text("a")), "queue": call("collections.deque") + b"(K\x01K\x02e",
    "default": call("collections.defaultdict", name("__builtin__.list")) + b"K\x01]s",
    "keys": b"}" + numbers([1, 2]) + b"Ns" + DTYPE + b"Ns" + REAL + b"Ns",
    "new set": b"\x8f(K\x01K\x02\x90", "new frozen set": b"(K\x01\x91", "a large key": b"}" + number(2**60) + b"Ns",
    "numpy number": call("numpy.core.multiarray.scalar", call("numpy.dtype", text("f8"), b"\x89", b"\x88"), LATIN),
    "slice": call("__builtin__.slice", number(0), b"N", b"N"),
    "meta": call("torch._utils._rebuild_meta_tensor_no_storage", DTYPE, numbers([2]), numbers([1]), b"\x89"),
    "sparse": call("torch._utils._rebuild_sparse_tensor", text("layout"), group()),
    "raw": storage("9", 4, "storage.UntypedStorage"), "cuda": tensor(storage("9", 1, "cuda.FloatStorage"), (1,), (1,)),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHER_DATA)
def test_plain_data_next_to_the_weights(tmp_path: Path, legacy: bool, what: str) -> None:
    one, other = np.arange(2, dtype=np.float32), np.zeros(4, np.uint8) if what == "raw" else np.zeros(1, np.float32)
    storages = {"0": one, "9": other} if what in ("raw", "cuda") else {"0": one}
    data = OTHER_DATA[what]
    pickle = mapping({"state_dict": mapping({"w": plain("0", one)}), "more": b"](" + data + b"e", what: data})
    actual = read_state(write(tmp_path / "a.pth", whole(pickle), storages, legacy))
    assert_same(actual, {"w": one})


def test_newer_dtypes(tmp_path: Path, legacy: bool) -> None:
    def retyped(key: str, size: int, kind: str) -> bytes:
        stored = storage(key, size * np.dtype(kind).itemsize, "storage.UntypedStorage")
        hooks = call("collections.OrderedDict")
        rest = numbers([size]), numbers([1]), b"\x89", hooks, name(f"torch.{kind}")
        return call("torch._utils._rebuild_tensor_v3", stored, number(0), *rest)

    wide = np.array([1, 40000, 65535], np.uint16)
    pickle = whole(mapping({"a": retyped("0", 3, "uint16")}))
    assert_same(read_state(write(tmp_path / "a.pth", pickle, {"0": wide.view(np.uint8)}, legacy)), {"a": wide})


def test_eight_bit_dtypes(tmp_path: Path) -> None:
    """The largest, the smallest and the strange numbers of each type, from its definition."""
    known = {
        "float8_e4m3fn": {0x7E: 448.0, 0x01: 2.0**-9, 0x7F: np.nan, 0xB8: -1.0, 0x80: -0.0},
        "float8_e5m2": {0x7B: 57344.0, 0x01: 2.0**-16, 0x7C: np.inf, 0xFC: -np.inf, 0x7D: np.nan},
        "float8_e4m3fnuz": {0x7F: 240.0, 0x01: 2.0**-10, 0x80: np.nan, 0x40: 1.0},
        "float8_e5m2fnuz": {0x7F: 57344.0, 0x01: 2.0**-17, 0x80: np.nan, 0x40: 1.0},
    }
    for kind, values in known.items():
        raw, hooks = np.array(list(values), np.uint8), call("collections.OrderedDict")
        stored = storage("0", len(raw), "storage.UntypedStorage")
        rest = numbers([len(raw)]), numbers([1]), b"\x89", hooks, name(f"torch.{kind}")
        pickle = whole(mapping({"a": call("torch._utils._rebuild_tensor_v3", stored, number(0), *rest)}))
        actual = read_state(write_zip(tmp_path / "a.pth", pickle, {"0": raw.tobytes()}))["a"]
        np.testing.assert_array_equal(actual, np.array(list(values.values()), np.float32))


def test_unsupported_tensors_are_named(tmp_path: Path) -> None:
    for what, expected in (("meta", "is without data"), ("sparse", r"is sparse.*save tensor\.to_dense\(\) instead")):
        pickle = whole(mapping({"w": plain("0", np.ones(1, np.float32)), "odd": OTHER_DATA[what]}))
        with pytest.raises(ModelError, match=f"its tensor 'odd' {expected}"):
            read_state(write_zip(tmp_path / "a.pth", pickle, {"0": bytes(4)}))


def test_numpy_arrays_as_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    state = {
        "a": np.arange(6.0).reshape(2, 3), "turned": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"), "flag": np.array([True, False]), "scalar": np.array(2.5),
    }  # fmt: skip
    for protocol in (2, 4, 5):
        torch.save(state, tmp_path / "a.pth", pickle_protocol=protocol)
        actual = read_state(tmp_path / "a.pth")
        assert all(np.array_equal(actual[key], array) for key, array in state.items())


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
    with pytest.raises(ModelError, match=r"refers to 'torch\.nn\.parallel\.data_parallel\.DataParallel'"):
        read_state(tmp_path / "b.pth")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = write_state(tmp_path / "a.pt", STATE)
    with ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"")
    with pytest.raises(ModelError, match="it is a TorchScript program, not weights alone; save the weights alone"):
        read_state(path)


def test_everything_that_pytorch_takes_without_running_code(tmp_path: Path, legacy: bool) -> None:
    """What `torch.load(weights_only=True)` takes is read, too, wherever it is."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such tensors are deprecated
        quantised = {
            "by tensor": torch.quantize_per_tensor(torch.randn(4), 0.1, 3, torch.qint8),
            "by channel": torch.quantize_per_channel(
                torch.randn(2, 3), torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 2, 3]), 1, torch.quint8
            ),
        }
    with_attribute = torch.ones(2)
    with_attribute.note = "x"
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "x"
    tensors = {
        "attribute": with_attribute, "parameter": parameter, "buffer": torch.nn.Buffer(torch.ones(1)),
        "uint16": torch.arange(3).to(torch.uint16), "float8": torch.tensor([1.5, -448.0]).to(torch.float8_e4m3fn),
        "complex": torch.tensor([1 + 2j]), "random": torch.get_rng_state(), **quantised,
    }  # fmt: skip
    plain_data = {
        "dtype": torch.float16, "device": torch.device("cpu"), "set": {1}, "size": torch.Size([1, 2]), 1.5: None,
        "complex": 1j, "bytes": b"\xff", "byte array": bytearray(b"a"), ("key", torch.int8): 0, "layout": torch.strided,
        "sparse": torch.eye(2).to_sparse(), "large": 2**100,
    }  # fmt: skip
    checkpoint = {"state_dict": tensors, "more": plain_data, "list": [plain_data, (plain_data,)]}
    torch.save(checkpoint, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    if not legacy:  # whose newer types PyTorch writes, and cannot read
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(tmp_path / "a.pth", weights_only=True)
    expected = {
        key: (t.dequantize() if t.is_quantized else t.float() if t.dtype == torch.float8_e4m3fn else t).detach().numpy()
        for key, t in tensors.items()
    }
    assert_same(read_state(tmp_path / "a.pth"), expected)
