"""Modules of whole networks in wasmtime: bit-identical to the portable engine, with and without vectors."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import compile as native
from opsin.backends.portable import compile, portable_program
from opsin.backends.wasm import kernel_module, program_module
from opsin.backends.wasm.memory import MAX_OFFSET
from opsin.base.errors import CompileError
from opsin.kernels.ir import BF16, PORTABLE, Builder
from opsin.kernels.resize import ResizeSeparable
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from tests.wasm import Instance, needs_wasmtime, run_program

NETWORKS = {"lenet5": (1, 28, 28), "mlperf_tiny_resnet8": (3, 32, 32), "mlperf_tiny_ds_cnn": None,
            "googlenet": (3, 40, 40),
            "mobilenet_v2": (3, 48, 40), "mobilenet_v3_small": (3, 37, 45), "unet_light": (3, 32, 48)}  # fmt: skip
"""Networks with all kinds of kernels, most of them on small images of odd sizes."""


@needs_wasmtime
@pytest.mark.parametrize("simd", [True, False], ids=["vector", "scalar"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_bits_of_the_portable_engine(name: str, simd: bool) -> None:
    shape = NETWORKS[name] or zoo.find(name).input_shape
    graph = nn.trace(zoo.create(name), shape)
    state = nn.initial_state(graph, 3)
    x = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
    engine = compile(graph, 1, 1)
    engine.load_state(state)
    program = portable_program(graph, state)
    actual = run_program(program_module(program, simd), program.constants, {"inputs": x})
    for output, expected in engine.run(inputs=x).items():
        np.testing.assert_array_equal(actual[output].view(np.int32), expected.view(np.int32), err_msg=output)


@needs_wasmtime
@pytest.mark.parametrize(
    ("name", "simd"), [("mlperf_tiny_resnet8", True), ("mlperf_tiny_resnet8", False), ("mobilenet_v3_small", True)]
)
def test_networks_of_8_bit_integers_have_the_bits_of_every_engine(name: str, simd: bool) -> None:
    shape = (3, 37, 45)
    graph = nn.trace(zoo.create(name), shape)
    x = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
    state = nn.initial_state(graph, 3)
    ranges = calibrated(graph, state, x, native)
    ranges.wide.add(steps_of(graph, state)[0].output)
    whole, whole_state = quantize_graph(graph, state, ranges)
    program = portable_program(whole, whole_state)
    actual = run_program(program_module(program, simd), program.constants, {"inputs": x})
    engine = compile(whole, 1, 1)
    engine.load_state(whole_state)
    for output, expected in engine.run(inputs=x).items():
        np.testing.assert_array_equal(actual[output].view(np.int32), expected.view(np.int32), err_msg=output)


@needs_wasmtime
def test_kernels_are_exported_next_to_a_program() -> None:
    graph = nn.trace(zoo.create("lenet5"), (1, 28, 28))
    program = portable_program(graph, nn.initial_state(graph, 1))
    module = program_module(program, kernels={"resize": ResizeSeparable().build(PORTABLE)})
    exports = Instance(module.code).exports
    assert {"memory", "run", "resize"} == {*exports}
    assert module.constants == MAX_OFFSET and module.free >= module.scratch >= MAX_OFFSET + len(program.constants)


def test_equal_programs_give_equal_modules() -> None:
    graph = nn.trace(zoo.create("lenet5"), (1, 28, 28))
    codes = [program_module(portable_program(graph, nn.initial_state(graph, 1))).code for _ in range(2)]
    assert codes[0] == codes[1] and codes[0].startswith(b"\0asm\1\0\0\0")


def test_what_a_module_cannot_do_is_refused() -> None:
    k = Builder("narrow")
    x = k.buffer("x", BF16)
    k.store(x, 0, k.load(x, 1))
    with pytest.raises(CompileError, match="narrow: WebAssembly has no rendering of arrays of bf16"):
        kernel_module({"narrow": k.kernel()})
    k = Builder("tiles")
    with k.tiles():
        k.tile_zero(0)
    with pytest.raises(CompileError, match="tiles: WebAssembly has no rendering of the instruction tiles_begin"):
        kernel_module({"tiles": k.kernel()})
