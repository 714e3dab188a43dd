"""Files made to harm: refused with words, and without much memory or time."""

from __future__ import annotations

import random as chance
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
    """`op` with both operands alike, again and again: every time twice as large."""
    for number in range(times):
        file.add(op, f"k{number} k{number}", f"k{number + 1}", axis=0)
    return file.add("Cast", f"k{times}", "f", to=1).add("Add", "x f", "y")


def squared(times: int) -> File:
    """(N · 2)², squared again and again."""
    file = File(weights={"two": np.array(2), "zero": np.array(0)})
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Mul", "n two", "k0")
    for number in range(times):
        file.add("Mul", f"k{number} k{number}", f"k{number + 1}")
    return file.add("Div", f"k{times} k{times}", "one").add("Cast", "one", "f", to=1).add("Add", "x f", "y")


def known(op: str, *operands: object) -> File:
    """`op` of known operands, and their result added to the images."""
    weights = {f"k{number}": np.asarray(operand) for number, operand in enumerate(operands)}
    return File(weights=weights).add(op, " ".join(weights), "k").add("Cast", "k", "f", to=1).add("Add", "x f", "y")


def images(*sizes: int) -> File:
    return File(inputs={"x": (1, *sizes)}).add("Relu", "x", "y")


SHAPE = (4, 8, 8)
FAR = 2**40
ZEROS = ints(*[0] * 2**12)

BOMBS: dict[str, Callable[[], File]] = {
    "an array of any size": lambda: known("ConstantOfShape", ints(2**31, 2**31)),
    "an array of less than nothing": lambda: known("ConstantOfShape", ints(-5, 3)),
    "doubled again and again": lambda: chain(File(weights={"k0": ints(1)}), "Concat", 60),
    "rows plus columns": lambda: known("Add", np.zeros((1, 40_000), np.int64), np.zeros((40_000, 1), np.int64)),
    "repeated": lambda: known("Tile", ints(1), ints(FAR)),
    "repeated and thrown away": lambda: known("Tile", ints(1)[None], ints(FAR, 0)),
    "spread": lambda: known("Expand", ints(1), ints(2**20, 2**20)),
    "counted": lambda: known("Range", 0, 2**60, 1),
    "counted by nothing": lambda: known("Range", 0, 9, 0),
    "counted to nowhere": lambda: known("Range", 0.0, np.nan, 1.0),
    "with any number of axes": lambda: known("Unsqueeze", ints(1), ZEROS),
    "gathered": lambda: known("Gather", np.zeros((1, 2**16), np.int64), ZEROS),
    "sizes of any size": lambda: squared(40),
    "padded without end": lambda: op_file("Pad", SHAPE, ints(0, 0, FAR, 0, 0, 0, 0, 0)),
    "mirrored without end": lambda: op_file("Pad", SHAPE, ints(0, 0, FAR, 0, 0, 0, 0, 0), mode="reflect"),
    "cut to pieces": lambda: op_file("Gather", (3, 8, 60_000), ints(*[1, 0] * 30_000), axis=3),
    "turned round": lambda: op_file("Slice", (3, 8, 2**26), ints(-1), ints(-(2**62)), ints(3), ints(-1)),
    "many neighbours": lambda: op_file("LRN", SHAPE, size=2**31 - 1),
    "enlarged": lambda: op_file("Resize", SHAPE, None, np.array([1, 1, 1e30, 1], np.float32)),
    "enlarged by no number": lambda: op_file("Resize", SHAPE, None, np.array([1, 1, np.nan, 1], np.float32)),
    "images of any size": lambda: images(3, FAR, FAR),
    "a window of any size": lambda: op_file("MaxPool", SHAPE, kernel_shape=[FAR, FAR], pads=[FAR - 1] * 4),
    "a frame of any size": lambda: op_file("Conv", SHAPE, random(1, 4, 1, 1), pads=[FAR] * 4),
    "tiled images": lambda: op_file("Tile", SHAPE, ints(1, FAR, 1, 1)),
    "blocks of any size": lambda: op_file("DepthToSpace", SHAPE, blocksize=FAR),
    "parts of any number": lambda: op_file("Split", SHAPE, opset=18, num_outputs=FAR, axis=1),
    "groups of any number": lambda: op_file(
        "GroupNormalization", SHAPE, random(4), random(4), opset=21, num_groups=FAR
    ),
    "axes of any number": lambda: op_file("Unsqueeze", SHAPE, ints(*range(2**16))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tmp_path: Path) -> None:
    path = BOMBS[name]().write(tmp_path / "net.onnx")
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            onnx.read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 300 * MB, f"{most / MB:.0f} MB for a file of {path.stat().st_size:,} bytes"


def test_a_file_of_nothing_but_small_fields(tmp_path: Path) -> None:
    """Ten thousand empty nodes take some memory each, and so do their names; what they take is bounded by the file."""
    data = entry(8, entry(2, 17)) + entry(7, entry(1, b"") * 100_001)
    assert import_error(data, tmp_path) == "has more than 100,000 nodes or weights, which no network needs"
    many = node("Relu", "x", "y") + entry(1, "a") * 200_000
    assert "uses the value 'a', which no node computes" in import_error(File(nodes=[many]), tmp_path)


def test_graphs_in_graphs_are_not_followed(tmp_path: Path) -> None:
    inner = b""
    for _ in range(500):  # each an If whose branch is the one before
        inner = entry(1, node("If", "x", "y") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5)))
    data = entry(8, entry(2, 17)) + entry(7, inner)
    assert import_error(data, tmp_path) == "has no output"
    branch = node("If", "x", "y", name="fork") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5))
    assert "If: node 'fork'" in import_error(File(nodes=[branch]), tmp_path)


def test_a_network_in_a_circle_of_many(tmp_path: Path) -> None:
    file = File().add("Add", "x v999", "v0").add("Relu", "v999", "y")
    for number in range(1, 1000):
        file.add("Relu", f"v{number - 1}", f"v{number}")
    assert "has a cycle: the value" in import_error(file, tmp_path)


def test_whatever_bytes_change_there_are_words(tmp_path: Path) -> None:
    """Random damage gives a network, or an error of ours: never another one, and never much memory."""
    file = File(weights={"w": random(4, 3, 3, 3), "b": random(4), "s": ints(0, -1), "k": random(5, 144)})
    file.add("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2])
    file.add("MaxPool", "c", "m", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    file.add("Reshape", "m s", "f").add("Split", "f", "g h", axis=1).add("Softmax", "g", "y", axis=-1)
    data = file.data()
    generator = chance.Random(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(600):
        changed = bytearray(data)
        for _ in range(generator.choice((1, 1, 2, 5))):
            changed[generator.randrange(len(data))] = generator.randrange(256)
        path = tmp_path / "net.onnx"
        path.write_bytes(changed)
        try:
            onnx.read(path)
            outcomes["read"] += 1
        except OpsinError as error:
            assert str(error).startswith(str(path))
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50


def test_a_bomb_within_a_limit_of_memory(tmp_path: Path) -> None:
    """The whole process, NumPy and the interpreter included, stays below half a gigabyte of new memory."""
    resource = pytest.importorskip("resource", reason="this system has no limits of memory")
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
        pytest.skip("this system does not tell how much memory a process has")
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert "out of proportion to the file" in result.stdout, result.stderr
