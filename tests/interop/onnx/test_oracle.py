"""Comparison with ONNX Runtime, for files of both PyTorch exporters, and with the test cases of the ONNX package.

The tests are skipped if these packages are not installed: `pip install torch onnx onnxscript onnxruntime`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.backends.reference import Reference
from opsin.base.errors import ModelError
from opsin.interop import onnx
from opsin.interop.onnx.rules import FOLDS, RULES

SKIP_REASON = "compares with ONNX Runtime: pip install torch onnx onnxscript onnxruntime"
torch = pytest.importorskip("torch", reason=SKIP_REASON)
runtime = pytest.importorskip("onnxruntime", reason=SKIP_REASON)
standard = pytest.importorskip("onnx", reason=SKIP_REASON)
pytest.importorskip("onnxscript", reason=SKIP_REASON)


class Block(torch.nn.Module):  # type: ignore[misc,name-defined]
    """A network with groups, channel shuffles, gates, resizing, and shapes that are computed at run time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.Hardswish())
        self.deep = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, 1, 1, groups=8), torch.nn.PReLU(8))
        self.gate = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(8, 8, 1), torch.nn.Hardsigmoid())
        self.up = torch.nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1)
        self.norm = torch.nn.GroupNorm(2, 8)
        self.head = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(12, 5))

    def forward(self, x: Any) -> Any:
        functional = torch.nn.functional
        x = self.stem(x)
        x = self.norm(x + self.deep(x) * self.gate(x))
        batch, channels, rows, columns = x.shape
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).reshape(batch, channels, rows, columns)
        wide = torch.cat([self.up(x), functional.interpolate(x, scale_factor=2, mode="bilinear")], 1)
        wide = functional.avg_pool2d(functional.pad(wide, (1, 0, 1, 0)), 3, 2, ceil_mode=True)
        first, second = functional.silu(functional.max_pool2d(wide, 3, 1, 1)).chunk(2, 1)
        return self.head(torch.cat([first, functional.gelu(second)], 1).mean([2, 3]))


def export(folder: Path, exporter: str, free: bool) -> Path:
    torch.manual_seed(0)
    network, x, path = Block().eval(), torch.randn(2 if free else 1, 3, 17, 14), folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            shapes = ({0: torch.export.Dim("n")},) if free else None
            torch.onnx.export(network, (x,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)
        else:
            axes = {"x": {0: "n"}} if free else None
            torch.onnx.export(network, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes, opset_version=17)
    return path


@pytest.fixture(autouse=True)
def silence_exporters() -> Iterator[None]:
    """Silence the exporters, which log many messages."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_pytorch_exporters(exporter: str, free: bool, tmp_path: Path) -> None:
    path = export(tmp_path, exporter, free)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((2, 3, 17, 14)).astype(np.float32)
    parts = [x] if free else np.split(x, 2)
    expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: part})[0] for part in parts])
    network = onnx.read(path)
    program = Reference(network.graph, 2, np.float64)
    program.load_state(network.state)
    (result,) = program.run(inputs=x).values()
    assert np.abs(result - expected).max() <= 1e-5 * np.ptp(expected)


# -- test cases of ONNX -----------------------------------------------------------------------

DEVIATIONS = {
    "resize_downsample_scales_linear_align_corners",  # Depends on the size before rounding; Opsin follows ONNX Runtime.
    "resize_downsample_scales_cubic_align_corners",
    "averagepool_2d_ceil_last_window_starts_on_pad",  # Expected values have four digits.
}


def cases() -> Iterator[Any]:
    """Yield the cases of supported operators with floats as the first operand, which becomes the images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all_cases = pytest.importorskip("onnx.backend.test.case.node").collect_testcases(None)
    for case in all_cases:
        name = case.name.removeprefix("test_")
        (inputs, outputs), nodes = case.data_sets[0], case.model.graph.node
        is_supported = {node.op_type for node in nodes} <= RULES.keys() | FOLDS.keys() and name not in DEVIATIONS
        has_arrays = all(isinstance(array, np.ndarray) for array in (*inputs, *outputs)) and len(inputs) > 0
        if is_supported and has_arrays and inputs[0].dtype.kind == "f" and inputs[0].ndim:
            yield case.model, inputs, outputs, name


def to_initializers(model: Any, inputs: list[Any]) -> Any:
    """Convert all inputs of the model but the first to initializers."""
    graph = model.graph
    arrays = dict(zip([value.name for value in graph.input][1:], inputs[1:], strict=True))
    for name, array in arrays.items():
        graph.initializer.append(standard.numpy_helper.from_array(np.ascontiguousarray(array), name))
    for value in list(graph.input)[1:]:
        graph.input.remove(value)
    return model


def test_cases_of_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results agree with the expected ones for every case that Opsin imports; the first axis has its fixed size."""
    count = 0
    for model, inputs, outputs, name in cases():
        monkeypatch.setattr("opsin.interop.onnx.network.BATCH", len(inputs[0]))
        path = tmp_path / "case.onnx"
        standard.save(to_initializers(model, inputs), path)
        try:
            network = onnx.read(path)
        except ModelError:
            continue
        program = Reference(network.graph, len(inputs[0]), np.float64)
        program.load_state(network.state)
        results = program.run(inputs=inputs[0]).values()
        for ours, theirs in zip(results, outputs, strict=True):
            assert ours.shape == theirs.shape, name
            tolerance = 2e-3 if theirs.dtype == np.float16 else 1e-5
            error = np.abs(ours - theirs.astype(np.float64)).max(initial=0)
            assert error <= tolerance * max(1.0, np.abs(theirs.astype(np.float64)).max(initial=0)), name
        count += 1
    assert count > 500
