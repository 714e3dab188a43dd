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

from opsin import onnx
from opsin.errors import ModelError, OpsinError
from tests.onnx.support import refused
from tests.onnx.writer import File, entry, node, one, random

MB = 2**20


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def chain(file: File, op: str, times: int) -> File:
    """`op` with both operands alike, again and again: every time twice as large."""
    for number in range(times):
        file.add(op, f"k{number} k{number}", f"k{number + 1}", axis=0)
    return file.add("Cast", f"k{times}", "f", to=1).add("Add", "x f", "y")


def outer(times: int) -> File:
    """A column plus a row, which are two lines long, and so on."""
    wide = np.zeros((1, 40_000), np.int64)
    file = File(weights={"row": wide, "column": wide.T})
    for number in range(times):
        file.add("Add", "row column", f"k{number}")
    return file.add("Cast", "k0", "f", to=1).add("Add", "x f", "y")


BOMBS: dict[str, Callable[[], File]] = {
    "an array of any size": lambda: File(weights={"s": ints(2**31, 2**31)}).add("ConstantOfShape", "s", "k").add("Add", "x k", "y"),
    "an array without a number": lambda: File(weights={"s": ints(-5, 3)}).add("ConstantOfShape", "s", "k").add("Add", "x k", "y"),
    "doubled again and again": lambda: chain(File(weights={"k0": ints(1)}), "Concat", 60),
    "rows plus columns": lambda: outer(1),
    "repeated": lambda: File(weights={"k": ints(1), "r": ints(2**40)}).add("Tile", "k r", "f").add("Add", "x f", "y"),
    "spread": lambda: File(weights={"k": ints(1), "s": ints(2**20, 2**20)}).add("Expand", "k s", "f").add("Add", "x f", "y"),
    "counted": lambda: File(weights={"a": ints(0)[0], "b": ints(2**60)[0], "c": ints(1)[0]}).add("Range", "a b c", "f").add("Add", "x f", "y"),
    "counted by nothing": lambda: File(weights={"a": ints(0)[0], "b": ints(9)[0], "c": ints(0)[0]}).add("Range", "a b c", "f").add("Add", "x f", "y"),
    "looked up": lambda: File(weights={"t": np.zeros(2**16, np.int64), "i": ints(*[0] * 2**12)}).add("Unsqueeze", "t i", "f").add("Add", "x f", "y"),
    "gathered": lambda: File(weights={"t": np.zeros((1, 2**16), np.int64), "i": ints(*[0] * 2**12)}).add("Gather", "t i", "f").add("Add", "x f", "y"),
    "padded without end": lambda: one("Pad", (3, 8, 8), ints(0, 0, 2**40, 0, 0, 0, 0, 0)),
    "mirrored without end": lambda: one("Pad", (3, 8, 8), ints(0, 0, 2**40, 0, 0, 0, 0, 0), mode="reflect"),
    "cut to pieces": lambda: one("Gather", (3, 8, 60_000), ints(*[1, 0] * 30_000), axis=3),
    "turned round": lambda: one("Slice", (3, 8, 2**28), ints(-1), ints(-(2**62)), ints(3), ints(-1)),
    "many neighbours": lambda: one("LRN", (3, 8, 8), size=2**31 - 1),
    "enlarged": lambda: one("Resize", (3, 8, 8), None, np.array([1, 1, 1e30, 1], np.float32)),
    "not a number": lambda: one("Resize", (3, 8, 8), None, np.array([1, 1, np.nan, 1], np.float32)),
    "pictures of any size": lambda: File(inputs={"x": (1, 3, 2**40, 2**40)}).add("Relu", "x", "y"),
    "a window of any size": lambda: one("MaxPool", (3, 8, 8), kernel_shape=[2**40, 2**40], pads=[2**40] * 4),
    "steps of any size": lambda: one("Conv", (3, 8, 8), random(1, 3, 1, 1), pads=[2**40] * 4),
    "tiled pictures": lambda: one("Tile", (3, 8, 8), ints(1, 2**40, 1, 1)),
    "blocks of any size": lambda: one("DepthToSpace", (4, 8, 8), blocksize=2**40),
    "parts of any number": lambda: one("Split", (4, 8, 8), opset=18, num_outputs=2**40, axis=1),
    "groups of any number": lambda: one("GroupNormalization", (4, 8, 8), random(4), random(4), opset=21, num_groups=2**40),
    "axes of any number": lambda: one("Unsqueeze", (4, 8, 8), ints(*range(2**16))),
    "a power of powers": lambda: File(weights={"a": ints(10**6)[0], "b": ints(10**6)[0]}).add("Pow", "a b", "f").add("Add", "x f", "y"),
}  # fmt: skip


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
    assert refused(data, tmp_path) == "has more than 100,000 nodes or weights, which no network needs"
    many = node("Relu", "x", "y") + entry(1, "a") * 200_000
    assert "uses the value 'a', which nothing in it makes" in refused(File(nodes=[many]), tmp_path)


def test_graphs_in_graphs_are_not_followed(tmp_path: Path) -> None:
    inner = b""
    for _ in range(500):  # each an If whose branch is the one before
        inner = entry(1, node("If", "x", "y") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5)))
    data = entry(8, entry(2, 17)) + entry(7, inner)
    assert refused(data, tmp_path) == "has no output"
    branch = node("If", "x", "y", name="fork") + entry(5, entry(1, "then_branch") + entry(6, inner) + entry(20, 5))
    assert "If: node 'fork'" in refused(File(nodes=[branch]), tmp_path)


def test_a_network_in_a_circle_of_many(tmp_path: Path) -> None:
    file = File().add("Add", "x v999", "v0").add("Relu", "v999", "y")
    for number in range(1, 1000):
        file.add("Relu", f"v{number - 1}", f"v{number}")
    assert "goes in a circle: the value" in refused(file, tmp_path)


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
        "from opsin.errors import ModelError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))\n"
        "try:\n    onnx.read(sys.argv[1])\nexcept ModelError as error:\n    print(error)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process has")
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert "out of proportion to the file" in result.stdout, result.stderr
