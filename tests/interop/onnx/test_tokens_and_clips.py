"""Embeddings of tokens and convolutions of clips in ONNX files: run by ONNX Runtime, and clips read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import nn
from opsin.interop import onnx
from tests.interop.onnx.test_write import outputs, read
from tests.nn.test_clips import TIMES, network
from tests.support import relative_error

runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed; it is an optional extra")


def test_tokens_outside_the_table_are_zeros_in_onnx_runtime() -> None:
    layers = nn.Sequential(
        nn.Embedding(7, 4, padding=2), nn.Conv1d(5, 2), nn.ReLU(), nn.GlobalMaxPool1d(), nn.Flatten()
    )
    graph = nn.trace(layers, (1, 1, 6))
    state = nn.initial_state(graph, 0)
    tokens = np.array([[0, 6, 2, 3, 3, 1], [5, -1, 7, 2, 4, 0]], np.float32)[:, None, None]
    session = runtime.InferenceSession(onnx.to_bytes(graph, state), providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {session.get_inputs()[0].name: tokens})
    assert relative_error(actual, outputs(graph, state, tokens)["logits"]) < 1e-6


def test_clips_compute_the_same_in_onnx_runtime_and_read_back(tmp_path: Path) -> None:
    shape = (3 * TIMES, 8, 6)
    graph, rng = nn.trace(network(), shape), np.random.default_rng(0)
    state = {key: (v + rng.uniform(0, 0.3, v.shape)).astype("f") for key, v in nn.initial_state(graph, 0).items()}
    images = rng.normal(size=(2, *shape)).astype(np.float32)
    data, expected = onnx.to_bytes(graph, state), outputs(graph, state, images)["logits"]
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {session.get_inputs()[0].name: images})
    assert relative_error(actual, expected) < 1e-5
    again = read(data, tmp_path)
    assert relative_error(outputs(again.graph, again.state, images)["logits"], expected) < 1e-6
    assert sum(node.op.name == "conv3d" for node in again.graph.nodes) == 3
