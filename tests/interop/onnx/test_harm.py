"""Tests that malicious files raise errors without excessive memory or time."""

from __future__ import annotations

import random as stdlib_random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import ModelError, OpsinError
from opsin.interop import onnx
from tests.interop.onnx.support import import_error
from tests.interop.onnx.writer import File, entry, node, op_file, random

MB = 2**20


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def chain(file: File, op: str, times: int) -> File:
    """Apply `op` `times` times with its own output as both operands; each time, the size doubles."""
    for number in range(times):
        file.add(op, f"k{number} k{number}", f"k{number + 1}", axis=0)
    return file.add("Cast", f"k{times}", "f", to=1).add("Add", "x f", "y")


def repeated_squares(times: int) -> File:
    """Square N · 2 `times` times."""
    file = File(weights={"two": np.array(2), "zero": np.array(0)})
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Mul", "n two", "k0")
    for number in range(times):
        file.add("Mul", f"k{number} k{number}", f"k{number + 1}")
    return file.add("Div", f"k{times} k{times}", "one").add("Cast", "one", "f", to=1).add("Add", "x f", "y")


def constant_op(op: str, *operands: object) -> File:
    """Apply `op` to constant operands and add the result to the images."""
    weights = {f"k{number}": np.asarray(operand) for number, operand in enumerate(operands)}
    return File(weights=weights).add(op, " ".join(weights), "k").add("Cast", "k", "f", to=1).add("Add", "x f", "y")


def images(*sizes: int) -> File:
    return File(inputs={"x": (1, *sizes)}).add("Relu", "x", "y")


SHAPE = (4, 8, 8)
HUGE_SIZE = 2**40
ZEROS = ints(*[0] * 2**12)

BOMBS: dict[str, Callable[[], File]] = {
    "ConstantOfShape, huge": lambda: constant_op("ConstantOfShape", ints(2**31, 2**31)),
    "ConstantOfShape, negative": lambda: constant_op("ConstantOfShape", ints(-5, 3)),
    "Concat, doubled 60 times": lambda: chain(File(weights={"k0": ints(1)}), "Concat", 60),
    "Add, broadcast": lambda: constant_op("Add", np.zeros((1, 40_000), np.int64), np.zeros((40_000, 1), np.int64)),
    "Tile": lambda: constant_op("Tile", ints(1), ints(HUGE_SIZE)),
    "Tile, empty result": lambda: constant_op("Tile", ints(1)[None], ints(HUGE_SIZE, 0)),
    "Expand": lambda: constant_op("Expand", ints(1), ints(2**20, 2**20)),
    "Range, huge": lambda: constant_op("Range", 0, 2**60, 1),
    "Range, step 0": lambda: constant_op("Range", 0, 9, 0),
    "Range, NaN": lambda: constant_op("Range", 0.0, np.nan, 1.0),
    "Unsqueeze, many constant axes": lambda: constant_op("Unsqueeze", ints(1), ZEROS),
    "Gather, huge result": lambda: constant_op("Gather", np.zeros((1, 2**16), np.int64), ZEROS),
    "growing symbolic size": lambda: repeated_squares(40),
    "Pad": lambda: op_file("Pad", SHAPE, ints(0, 0, HUGE_SIZE, 0, 0, 0, 0, 0)),
    "Pad, reflect": lambda: op_file("Pad", SHAPE, ints(0, 0, HUGE_SIZE, 0, 0, 0, 0, 0), mode="reflect"),
    "Gather, many slices": lambda: op_file("Gather", (3, 8, 60_000), ints(*[1, 0] * 30_000), axis=3),
    "Slice, reversed": lambda: op_file("Slice", (3, 8, 2**26), ints(-1), ints(-(2**62)), ints(3), ints(-1)),
    "LRN": lambda: op_file("LRN", SHAPE, size=2**31 - 1),
    "Resize": lambda: op_file("Resize", SHAPE, None, np.array([1, 1, 1e30, 1], np.float32)),
    "Resize, NaN": lambda: op_file("Resize", SHAPE, None, np.array([1, 1, np.nan, 1], np.float32)),
    "huge images": lambda: images(3, HUGE_SIZE, HUGE_SIZE),
    "MaxPool": lambda: op_file("MaxPool", SHAPE, kernel_shape=[HUGE_SIZE, HUGE_SIZE], pads=[HUGE_SIZE - 1] * 4),
    "Conv, huge pads": lambda: op_file("Conv", SHAPE, random(1, 4, 1, 1), pads=[HUGE_SIZE] * 4),
    "Tile, images": lambda: op_file("Tile", SHAPE, ints(1, HUGE_SIZE, 1, 1)),
    "DepthToSpace": lambda: op_file("DepthToSpace", SHAPE, blocksize=HUGE_SIZE),
    "Split": lambda: op_file("Split", SHAPE, opset=18, num_outputs=HUGE_SIZE, axis=1),
    "GroupNormalization": lambda: op_file(
        "GroupNormalization", SHAPE, random(4), random(4), opset=21, num_groups=HUGE_SIZE
    ),
    "Unsqueeze, many axes": lambda: op_file("Unsqueeze", SHAPE, ints(*range(2**16))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tmp_path: Path) -> None:
    path = BOMBS[name]().write(tmp_path / "net.onnx")
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            onnx.read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300 * MB, f"{peak / MB:.0f} MB for a file of {path.stat().st_size:,} bytes"


def test_many_small_fields(tmp_path: Path) -> None:
    """Empty nodes and names take more memory than bytes of the file; their number is limited."""
    data = entry(8, entry(2, 17)) + entry(7, entry(1, b"") * 100_001)
    assert import_error(data, tmp_path) == "has more than 100,000 nodes or weights, which no network needs"
    many_inputs = node("Relu", "x", "y") + entry(1, "a") * 200_000
    assert "uses the value 'a', which no node computes" in import_error(File(nodes=[many_inputs]), tmp_path)


def test_nested_graphs_are_not_parsed(tmp_path: Path) -> None:
    inner = b""
    for _ in range(500):  # Each is an If with the previous graph as its branch.
        inner = entry(1, node("If", "x", "y") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5)))
    data = entry(8, entry(2, 17)) + entry(7, inner)
    assert import_error(data, tmp_path) == "has no output"
    branch = node("If", "x", "y", name="fork") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5))
    assert "If: node 'fork'" in import_error(File(nodes=[branch]), tmp_path)


def test_long_cycle(tmp_path: Path) -> None:
    file = File().add("Add", "x v999", "v0").add("Relu", "v999", "y")
    for number in range(1, 1000):
        file.add("Relu", f"v{number - 1}", f"v{number}")
    assert "has a cycle: the value" in import_error(file, tmp_path)


def test_random_damage_raises_only_opsin_errors(tmp_path: Path) -> None:
    """A file with random damage is imported, or raises an `OpsinError`."""
    file = File(weights={"w": random(4, 3, 3, 3), "b": random(4), "s": ints(0, -1), "k": random(5, 144)})
    file.add("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2])
    file.add("MaxPool", "c", "m", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    file.add("Reshape", "m s", "f").add("Split", "f", "g h", axis=1).add("Softmax", "g", "y", axis=-1)
    data = file.data()
    generator = stdlib_random.Random(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(600):
        damaged_data = bytearray(data)
        for _ in range(generator.choice((1, 1, 2, 5))):
            damaged_data[generator.randrange(len(data))] = generator.randrange(256)
        path = tmp_path / "net.onnx"
        path.write_bytes(damaged_data)
        try:
            onnx.read(path)
            outcomes["read"] += 1
        except OpsinError as error:
            assert str(error).startswith(str(path))
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50


def test_bomb_under_memory_limit(tmp_path: Path) -> None:
    """The import fails cleanly in a process that may allocate only 512 MiB more."""
    resource = pytest.importorskip("resource", reason="this system has no memory limits")
    assert resource
    path = chain(File(weights={"k0": ints(1)}), "Concat", 60).write(tmp_path / "net.onnx")
    program = (
        "import resource, sys\n"
        "from opsin import onnx\n"
        "from opsin.base.errors import ModelError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))\n"
        "try:\n    onnx.read(sys.argv[1])\nexcept ModelError as error:\n    print(error)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not report the memory of a process")
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert "out of proportion to the file" in result.stdout, result.stderr
