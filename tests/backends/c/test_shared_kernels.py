"""Kernels that all layers share: natively, and as functions in C, they have the bits of the reference."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from opsin import ops
from opsin.backends.c.shared_kernels import SHARED_KERNELS
from opsin.backends.native import compile
from opsin.backends.portable import COMPACT, Array, PortableProgram, portable_program
from opsin.backends.reference import Reference
from opsin.ir import BATCH, INT, INT8, Graph, Tensor, input_tensor, variable
from opsin.kernels.ir import PORTABLE_SMALL
from opsin.kernels.quantized import Lookup
from opsin.kernels.windows import ConvWindows, ConvWindowsAdd, DepthwiseWindows
from tests.backends.c.support import VARIANTS
from tests.backends.c.test_programs import library, run, source

SHAPE = (12, 9, 7)
BOARDS = {"plain C": "mps2-an385", "DSP": "mps2-an386", "MVE": "mps3-an547"}
"""The variants of the functions, and a board that takes each."""
MAIN = """
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {stack_end, reset, reset, reset};
void reset(void)
{
  unsigned i, at, wrong = 0;
  uint8_t *const memory = network_arena();
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;
  __asm__ volatile("dsb\\n\\tisb" ::: "memory");
  for (i = 0; i < sizeof image; i++) memory[IMAGE_AT + i] = image[i];
  network();
  for (i = 0, at = 0; i < sizeof places / sizeof *places; at += places[i++].size)
    for (unsigned j = 0; j < places[i].size; j++) wrong += memory[places[i].at + j] != results[at + j];
  const uint32_t block[2] = {0x20026, wrong ? 1 : 0};
  register uint32_t r0 __asm__("r0") = 0x20;
  register const void *r1 __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  for (;;) {
  }
}
"""
State = dict[str, np.ndarray]


def convolution(x: Tensor, state: State, filters: int, kernel: tuple[int, int], **attrs: object) -> Tensor:
    """Return a convolution of 8-bit integers with random weights, of which some results reach the limits."""
    rng, groups = np.random.default_rng(len(state)), attrs.get("groups", 1)
    assert isinstance(groups, int) and isinstance(x.shape[1], int)
    w = rng.integers(-127, 127, (filters, x.shape[1] // groups, *kernel), np.int8, endpoint=True)
    arrays = {
        "weight": w,
        "bias": rng.integers(-9999, 9999, filters).astype(np.int32),
        "scale": (2**32 / (90 * w[0].size ** 0.5) * rng.uniform(0.5, 1, filters)).astype(np.int32),
    }
    names = {key: f"{len(state)}.{key}" for key in arrays}
    state |= {names[key]: array for key, array in arrays.items()}
    operands = [variable(names[k], a.shape, INT8 if a.dtype == np.int8 else INT) for k, a in arrays.items()]
    fixed = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "x_zero": -20, "zero": 5}
    return ops.conv2d_int8(x, *operands, **{**fixed, "low": -128, "high": 127, **attrs})  # type: ignore[arg-type]


def network() -> tuple[Graph, State]:
    """Return convolutions of odd sizes: strides, dilation, groups, padding on one side, limits, and additions."""
    state: State = {}
    q = ops.lookup_int8(input_tensor("x", (BATCH, *SHAPE), INT8), variable("table", (256,), INT8))
    state["table"] = np.random.default_rng(2).permutation(256).astype(np.uint8).view(np.int8)
    same, odd = ((1, 1), (1, 1)), convolution(q, state, 7, (3, 2), padding=((2, 0), (0, 1)), low=-100, high=99)
    added = ops.add_int8(convolution(q, state, 12, (3, 3), padding=same), q, 9000, 11000, 77, 14)
    pointwise = ops.add_int8(odd, convolution(odd, state, 7, (1, 1)), 8000, 16000, 5, 14, low=-90, high=101)
    outputs = {
        "strided": convolution(added, state, 5, (3, 3), stride=(2, 3), padding=same),
        "dilated": convolution(odd, state, 4, (2, 3), dilation=(2, 3), padding=((1, 2), (3, 3))),
        "grouped": convolution(added, state, 9, (3, 1), groups=3, padding=((1, 1), (0, 0))),
        "pointwise": pointwise,
        "whole": convolution(added, state, 3, SHAPE[1:]),
        "by_channel": convolution(pointwise, state, 7, (3, 3), groups=7, padding=same, low=-77, high=127),
        "by_channel_dilated": convolution(
            added, state, 12, (2, 5), groups=12, dilation=(3, 1), padding=((2, 4), (2, 2))
        ),
        "by_channel_strided": convolution(added, state, 12, (3, 3), groups=12, stride=(2, 2), padding=((0, 1), (1, 0))),
    }
    return Graph((q.node.inputs[0],), outputs), state


def expected(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return images and the results of the reference."""
    (graph, state), x = network(), np.random.default_rng(1).integers(-128, 127, (count, *SHAPE), np.int8, endpoint=True)
    reference = Reference(graph, count, np.float32)
    reference.load_state(state)
    return x, reference.run(x=x)


def test_kernels_have_the_bits_of_the_reference() -> None:
    (graph, state), (x, results) = network(), expected(3)
    program = compile(graph, 3, threads=2, target=PORTABLE_SMALL)
    program.load_state(state)
    for name, values in program.run(x=x).items():
        np.testing.assert_array_equal(values, results[name], name)
        assert len({*values.ravel()}) > 5, name
    kinds = {type(call.spec) for call in program.plan.calls}
    assert kinds >= {ConvWindows, ConvWindowsAdd, DepthwiseWindows, Lookup}


@pytest.mark.parametrize("variant", ["gcc, vectors", "gcc, scalars", "clang, vectors"])
def test_functions_have_the_bits_of_the_reference(
    variant: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (graph, state), (x, results) = network(), expected(1)
    program = portable_program(graph, state, COMPACT, PORTABLE_SMALL)
    assert {kernel.name for kernel in program.kernels} >= {*SHARED_KERNELS}
    sanitizer = ["-fsanitize=undefined"] if variant.startswith("gcc") else []
    built = library(tmp_path, {"network.c": source(program, "network")}, (*VARIANTS[variant], *sanitizer))
    for name, values in run(built, "network", program, {"x": x}).items():
        np.testing.assert_array_equal(values, results[name], name)
    assert capfd.readouterr().err == "", "undefined behaviour"


def in_memory(program: PortableProgram, array: Array, values: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the first byte of an array in the arena, and its bytes from there on."""
    memory = np.zeros(program.arena_bytes, np.uint8)
    array.of(memory)[...] = values
    return array.address.offset, memory[array.address.offset :][: values.nbytes]


def numbers(values: Iterable[object]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


@pytest.mark.parametrize("variant", BOARDS)
def test_functions_for_boards_have_the_bits_of_the_reference(variant: str, tmp_path: Path) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm", "make"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    (graph, state), (x, results) = network(), expected(1)
    program = portable_program(graph, state, COMPACT, PORTABLE_SMALL)
    image_at, image = in_memory(program, program.inputs["x"], x)
    parts = [in_memory(program, array, results[name]) for name, array in program.outputs.items()]
    data = [
        "extern uint32_t stack_end[];\nvoid reset(void);\nvoid *network_arena(void);\nvoid network(void);",
        f"#define IMAGE_AT {image_at}\nstatic const uint8_t image[] = {numbers(image)};",
        f"static const uint8_t results[] = {numbers(byte for _, part in parts for byte in part)};",
        "static const struct { unsigned at, size; } places[] = "
        + numbers(numbers((at, len(part))) for at, part in parts) + ";",
    ]  # fmt: skip
    for folder in ("src", "cortex-m"):
        (tmp_path / folder).mkdir()
    (tmp_path / "src" / "network.h").write_text("")
    (tmp_path / "src" / "network.c").write_text(source(program, "network"))
    (tmp_path / "cortex-m" / "main.c").write_text("\n".join(["#include <stdint.h>", *data, MAIN]))
    for name in ("Makefile", "board.ld"):
        text = files("opsin.export.c").joinpath("assets", "cortex_m", name).read_text(encoding="utf-8")
        (tmp_path / "cortex-m" / name).write_text(re.sub("@model@", "network", text))
    line = ["make", "-s", "run", f"BOARD={BOARDS[variant]}"]
    done = subprocess.run(line, cwd=tmp_path / "cortex-m", capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", f"build/{BOARDS[variant]}.o"], cwd=tmp_path / "cortex-m", capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    assert ("smlad" in listing, "vmul.i16" in listing) == (variant == "DSP", variant == "MVE")
