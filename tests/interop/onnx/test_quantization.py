"""Networks in the format QDQ: conversions to 8-bit integers and back around operators on floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.backends.reference import Reference
from opsin.interop import onnx
from tests.interop.onnx.support import Array, import_error, network, run
from tests.interop.onnx.writer import File, random

X = random(2, 3, 8, 8).astype(np.float64)
SCALE = np.float32(0.0125)


def rounded(x: Array, scale: float, zero: int, low: int, high: int) -> Array:
    return (np.clip(np.rint(x.astype(np.float32) / np.float32(scale)) + zero, low, high) - zero) * np.float32(scale)


def file(zero: Any, scale: Any = SCALE, **attributes: Any) -> File:
    """A file that rounds its input."""
    weights = {"s": np.asarray(scale)} | ({} if zero is None else {"z": np.asarray(zero)})
    names = "s" if zero is None else "s z"
    return File(weights=weights).add("QuantizeLinear", f"x {names}", "q", **attributes).add(
        "DequantizeLinear", f"q {names}", "y"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("zero", "bounds"), [(np.int8(-5), (-128, 127)), (np.uint8(100), (0, 255)), (None, (0, 255))], ids=str
)
def test_results_are_rounded(zero: Any, bounds: tuple[int, int], tmp_path: Path) -> None:
    (y,) = run(file(zero), tmp_path, X)
    expected = rounded(X, SCALE, int(zero or 0), *bounds)
    steps = np.abs(y - expected) / SCALE
    assert steps.max() <= 1.001 and (steps > 0.5).mean() < 0.01  # ties, by the product with 1/scale


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_weights_become_real_numbers(dtype: type[Any], by_channel: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    w = rng.integers(0, 100, (4, 3, 3, 3)).astype(dtype)
    b = rng.integers(-1000, 1000, 4).astype(np.int32)
    count = 4 if by_channel else 1
    scale, zero = rng.uniform(0.01, 0.02, count).astype(np.float32), rng.integers(30, 60, count).astype(dtype)
    if not by_channel:
        scale, zero = scale.reshape(()), zero.reshape(())
    weights = {"w": w, "ws": scale, "wz": zero, "b": b, "bs": np.float32(0.001)}
    net = File(weights=weights).add("DequantizeLinear", "w ws wz", "weight", axis=-4)
    net.add("DequantizeLinear", "b bs", "bias").add("Conv", "x weight bias", "y")
    column = (scale.reshape(-1, 1, 1, 1), zero.reshape(-1, 1, 1, 1).astype(np.float32))
    state = network(net, tmp_path).state
    np.testing.assert_array_equal(state["w"], (w.astype(np.float32) - column[1]) * column[0])
    np.testing.assert_array_equal(state["b"], b.astype(np.float32) * np.float32(0.001))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (file(np.int32(0)), "1 zero points of type int32 for a result; Opsin reads one, int8 or uint8"),
        (file(np.zeros(3, np.int8), np.full(3, SCALE)), "3 scales for a result that depends on the images; Opsin"),
        (
            File(weights={"s": SCALE}).add("QuantizeLinear", "x s", "y"),
            "has an output 'y' of 8-bit integers; export it with a DequantizeLinear at its end",
        ),
        (file(None, output_dtype=4), "integers of other than 8 bits, or in blocks"),
        (file(None, np.float32(0)), "the scale must be a number above 0, not 0"),
        (
            File(weights={"s": SCALE}).add("QuantizeLinear", "x s", "q").add("Relu", "q", "r").add(
                "DequantizeLinear", "r s", "y"
            ),
            "it computes with 8-bit integers; Opsin reads quantized networks in which QuantizeLinear and Dequant",
        ),
        (File(weights={"s": SCALE}).add("DequantizeLinear", "x s", "y"), "integers that no QuantizeLinear made"),
        (
            File(weights={"w": np.zeros((4, 3), np.int8), "s": np.ones(3, np.float32)})
            .add("DequantizeLinear", "w s", "r", axis=0).add("Add", "x r", "y"),
            r"3 scales or zero points for weights of the shape (4, 3)",
        ),
        (
            File(weights={"w": np.zeros((3, 8, 8), np.int64), "s": np.float32(1)})
            .add("DequantizeLinear", "w s", "r").add("Add", "x r", "y"),
            "weights of type int64; Opsin reads int8, uint8 and int32",
        ),
        (
            File(weights={"w": np.zeros((3, 8, 8), np.int8), "s": np.float32(1)})
            .add("DequantizeLinear", "w s", "r", block_size=2).add("Add", "x r", "y"),
            "weights in blocks that share a scale",
        ),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(broken: File, message: str, tmp_path: Path) -> None:
    assert message in import_error(broken, tmp_path)


def test_files_of_onnx_runtimes_tool_are_read(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    tool = pytest.importorskip("onnxruntime.quantization", reason="its tool writes the file")
    net = File(weights={"w": random(4, 3, 3, 3), "b": random(4), "v": random(36, 5)}, outputs={"y": ("batch", 5)})
    net.add("Conv", "x w b", "c").add("Relu", "c", "r").add("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Flatten", "p", "f").add("MatMul", "f v", "y")
    x = X.astype(np.float32)

    class Images(tool.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter([{"x": x}])

        def get_next(self) -> Any:
            return next(self.batches, None)

    tool.quantize_static(net.write(tmp_path / "float.onnx"), tmp_path / "int8.onnx", Images(), per_channel=True)
    session = runtime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    read = onnx.read(tmp_path / "int8.onnx")
    program = Reference(read.graph, len(x), np.float64)
    program.load_state(read.state)
    (y,) = program.run(inputs=x).values()
    (expected,) = session.run(None, {"x": x})
    assert np.abs(y - expected).max() <= 0.02 * np.ptp(expected)
