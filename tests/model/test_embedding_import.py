"""Networks that compare images, from ONNX files of other programs and from Opsin's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import ops
from opsin.backends import reference
from opsin.base.errors import ModelError
from opsin.interop import onnx
from opsin.ir import BATCH, Graph, Tensor, input_tensor, variable
from opsin.model import load
from opsin.model.embedding_import import import_embedding
from tests.faces.squares import comparing_model
from tests.support import generator


def written(path: Path, side: int = 112, second: bool = False) -> NDArray[np.float32]:
    """Write a network that makes 5 numbers of the mean colour; return its weights, 3 × 5."""
    images = input_tensor("inputs", (BATCH, 3, side, side))
    weight = variable("weight", (3, 5))
    features: Tensor = ops.matmul(ops.flatten(ops.global_avg_pool2d(images)), weight)
    outputs = {"features": features} | ({"more": ops.multiply(features, 2.0)} if second else {})
    state = {"weight": generator("embedding").standard_normal((3, 5)).astype(np.float32)}
    path.write_bytes(onnx.to_bytes(Graph((images,), outputs), state))
    return state["weight"]


def test_an_onnx_file_gives_unit_vectors(tmp_path: Path) -> None:
    weight = written(path := tmp_path / "arc.onnx")
    model = import_embedding(path, engine=reference.compile)
    assert (model.task.name, model.task.dimensions) == ("identity", 5)
    (answer,) = model.predict(np.full((112, 112, 3), (255, 51, 0), np.uint8))
    expected = np.array([1.0, -0.6, -1.0]) @ weight  # values from -1 to 1
    np.testing.assert_allclose(answer.vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_other_onnx_files(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    written(path, side=64)
    with pytest.raises(ModelError, match="takes images of 3 × 64 × 64, not 3 × 112 × 112"):
        import_embedding(path)
    written(path, second=True)
    with pytest.raises(ModelError, match=r"other\.onnx gives N × 5, N × 5, but a network that compares images gives"):
        import_embedding(path)


def test_own_files(tmp_path: Path) -> None:
    path = comparing_model(tmp_path / "model.opsin")
    assert import_embedding(path).goldens is not None
    assert load(path).calibration == import_embedding(path).calibration
