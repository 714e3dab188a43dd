"""Against ONNX Runtime, on files that PyTorch's two exporters write, and against the cases that ONNX itself tests with.

Skipped where these packages are not installed: `pip install torch onnx onnxscript onnxruntime`.
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

MISSING = "compares with ONNX Runtime: pip install torch onnx onnxscript onnxruntime"
torch = pytest.importorskip("torch", reason=MISSING)
runtime = pytest.importorskip("onnxruntime", reason=MISSING)
standard = pytest.importorskip("onnx", reason=MISSING)
pytest.importorskip("onnxscript", reason=MISSING)


class Block(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Much of what networks are made of: groups, shuffles, gates, resizing, and shapes asked for at run time."""

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
def quiet() -> Iterator[None]:
    """The exporters tell at length what they do."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_what_pytorch_exports(exporter: str, free: bool, tmp_path: Path) -> None:
    path = export(tmp_path, exporter, free)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((2, 3, 17, 14)).astype(np.float32)
    parts = [x] if free else np.split(x, 2)
    expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: part})[0] for part in parts])
    network = onnx.read(path)
    program = Reference(network.graph, 2, np.float64)
    program.load_state(network.state)
    (found,) = program.run(inputs=x).values()
    assert np.abs(found - expected).max() <= 1e-5 * np.ptp(expected)


# -- ONNX's own cases -------------------------------------------------------------------------

DIFFERENT = {
    "resize_downsample_scales_linear_align_corners",  # the size before rounding decides; we do as ONNX Runtime does
    "resize_downsample_scales_cubic_align_corners",
    "averagepool_2d_ceil_last_window_starts_on_pad",  # expected with four digits
}


def cases() -> Iterator[Any]:
    """Cases of operators that we have, whose first operand can be images and whose others are known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("onnx.backend.test.case.node").collect_testcases(None)
    for case in found:
        name = case.name.removeprefix("test_")
        (inputs, outputs), nodes = case.data_sets[0], case.model.graph.node
        known = {node.op_type for node in nodes} <= RULES.keys() | FOLDS.keys() and name not in DIFFERENT
        arrays = all(isinstance(array, np.ndarray) for array in (*inputs, *outputs)) and len(inputs) > 0
        if known and arrays and inputs[0].dtype.kind == "f" and inputs[0].ndim:
            yield case.model, inputs, outputs, name


def with_weights(model: Any, inputs: list[Any]) -> Any:
    """The same network with all operands but the first as weights."""
    graph = model.graph
    named = dict(zip([value.name for value in graph.input][1:], inputs[1:], strict=True))
    for name, array in named.items():
        graph.initializer.append(standard.numpy_helper.from_array(np.ascontiguousarray(array), name))
    for value in list(graph.input)[1:]:
        graph.input.remove(value)
    return model


def test_the_cases_of_the_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that we take, with the first axis not a batch but of the size it has, come out as the standard says."""
    agreed = 0
    for model, inputs, outputs, name in cases():
        monkeypatch.setattr("opsin.interop.onnx.network.BATCH", len(inputs[0]))
        path = tmp_path / "case.onnx"
        standard.save(with_weights(model, inputs), path)
        try:
            network = onnx.read(path)
        except ModelError:
            continue
        program = Reference(network.graph, len(inputs[0]), np.float64)
        program.load_state(network.state)
        found = program.run(inputs=inputs[0]).values()
        for ours, theirs in zip(found, outputs, strict=True):
            assert ours.shape == theirs.shape, name
            tolerance = 2e-3 if theirs.dtype == np.float16 else 1e-5
            error = np.abs(ours - theirs.astype(np.float64)).max(initial=0)
            assert error <= tolerance * max(1.0, np.abs(theirs.astype(np.float64)).max(initial=0)), name
        agreed += 1
    assert agreed > 500
