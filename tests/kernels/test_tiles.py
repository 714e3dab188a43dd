"""Products in tile registers (AMX): what their instructions mean, kernels that use them, and their machine code.

The kernels run in the interpreter on every processor, and as machine code where it has the registers.
"""

from __future__ import annotations

from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest

from opsin.backends.native import codegen, render
from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.ir import BF16, PAIR, TILE_ROWS, Builder, Target, bfloat16, interpret
from opsin.kernels.panels import PanelShape
from opsin.kernels.spec import KernelSpec
from opsin.kernels.tile import Epilogue
from tests.kernels.support import (
    AVX512,
    HOST_TARGETS,
    arguments,
    guarded,
    interleaved,
    margins_hold,
    run_interpreted,
    run_native,
)
from tests.kernels.test_conv import ADD, BIAS_RELU, Array, Case, each_seed

AMX = replace(AVX512, bf16_dot=True, tiles=True)
RUNS = [(run_interpreted, AMX), *((run_native, row) for row in HOST_TARGETS if row.tiles)]
each_run = pytest.mark.parametrize(("run", "target"), RUNS, ids=["interpreted", "native"][: len(RUNS)])
SAPPHIRE_RAPIDS = codegen.Host(
    "sapphirerapids", "x86_64-unknown-linux-gnu",
    "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512bf16,+amx-tile,+amx-bf16,+fma,+avx2",
)  # fmt: skip


def test_a_tile_is_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    left, right = (bfloat16.rounded(rng.standard_normal((16, 32), np.float32)) for _ in range(2))
    sums = rng.standard_normal((16, 16), np.float32)
    pairs = bfloat16.narrow(right.reshape(16, 16, 2)).view(np.uint32)[..., 0]
    actual = bfloat16.tile_dot(sums, bfloat16.narrow(left).view(np.uint32), pairs)
    by_column = right.reshape(16, 16, 2).transpose(0, 2, 1).reshape(32, 16).astype(np.float64)
    np.testing.assert_allclose(actual, sums + left @ by_column, rtol=1e-5, atol=1e-5)


def test_tiles_are_loaded_and_stored_with_strides() -> None:
    k = Builder("move")
    x, y = k.buffer("x"), k.buffer("y")
    with k.tiles():
        k.tile_load(3, x.of(PAIR), 5, 20)
        k.tile_zero(4)
        k.tile_store(3, y, 0, 16)
        k.tile_store(4, y, 8, 32)
    source, target = np.arange(400, dtype=np.uint32), np.full(600, 77, np.uint32)
    interpret(k.kernel(), [source, target], 0, 1)
    expected = np.full(600, 77, np.uint32)
    expected[:256] = np.concatenate([source[5 + 20 * row :][:16] for row in range(16)])
    for row in range(16):
        expected[8 + 32 * row :][:16] = 0
    np.testing.assert_array_equal(target, expected)


def narrow(w: Array, target: Target) -> Array:
    return bfloat16.narrow(interleaved(w.reshape(-1, w.shape[-1]), PanelShape(2, 2, BF16), target))


def packed(case: Case, pixels: int, copies: bool, strided: bool, epilogue: Epilogue, shares: int = 1) -> ConvPacked:
    spec = ConvPacked(case.window, case.kernel[0], case.filters, pixels, copies, strided, shares, False, epilogue)
    return spec.narrowed(["x", "u"])


@each_run
@each_seed
@pytest.mark.parametrize(("channels", "filters", "shares"), [(32, 21, 1), (64, 70, 2)])
def test_convolutions(seed: int, channels: int, filters: int, shares: int, run: object, target: Target) -> None:
    """Of copied windows, into outputs that are apart."""
    case = Case.random(seed, 1, channels, filters)
    x, w, g = (bfloat16.rounded(array) for array in case.arrays())
    rows, columns = 2 * case.out[0], 3 * case.out[1]
    y, bias, count = guarded((case.images, rows, columns, filters)), g[0, 0, 0], g.size // filters
    spec = packed(case, 32, True, True, BIAS_RELU, shares)
    strides = [rows * columns * filters, 2 * columns * filters, 3 * filters]
    words = {**case.packed_words, "count": count, "out_strides": strides}
    args = arguments(spec, bias, y, x=bfloat16.narrow(x), u=narrow(w, target), **words)
    run(spec, args, 0, -(-count // 32) * shares, spec.scratch(target), target)  # type: ignore[operator]
    assert spec.uses_tiles(target)
    np.testing.assert_allclose(y[:, ::2, ::3], np.maximum(case.outputs(x, w) + bias, 0), atol=1e-3)
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("size", [(4, 8), (7, 5), (9, 11)])
def test_pixels_in_place(size: tuple[int, int], run: object, target: Target) -> None:
    """Whole blocks in place; an incomplete one is copied, so that nothing behind the images is read."""
    case = Case(1, size, (1, 1), (1, 1), (1, 1), (0, 0), size, 1, 32, 40)
    x, w, g = (bfloat16.rounded(array) for array in case.arrays())
    y, count, spec = guarded(g.shape), g.size // 40, packed(case, 32, False, False, ADD)
    words = {**case.packed_words, "count": count, "out_strides": []}
    args = arguments(spec, g, y, x=bfloat16.narrow(x), u=narrow(w, target), **words)
    run(spec, args, 0, -(-count // 32), spec.scratch(target), target)  # type: ignore[operator]
    np.testing.assert_allclose(y, case.outputs(x, w) + g, atol=1e-3)
    assert margins_hold(y)


@each_run
@each_seed
@pytest.mark.parametrize(
    ("channels", "filters", "rows", "panel", "columns"),
    [(16, 21, 16, 16, 21), (64, 64, 32, 32, 32), (48, 33, 48, 48, 33)],
)
def test_weight_gradients(
    seed: int, channels: int, filters: int, rows: int, panel: int, columns: int, run: object, target: Target
) -> None:
    case = Case.random(seed, 1, channels, filters)
    x, w, g = (bfloat16.rounded(array) for array in case.arrays())
    result = guarded((case.images, *w.shape))
    spec = ConvWeightTaps(case.window, filters, rows, panel, columns, depth=16, pairs=True).narrowed(["x", "g"])
    arrays = {"x": bfloat16.narrow(x), "g": bfloat16.narrow(g), "result": result}
    args = arguments(spec, **arrays, N=case.images, kh=case.kernel[0], **case.packed_words, images=1)
    run(spec, args, 0, result.size // (rows * columns), spec.scratch(target), target)  # type: ignore[operator]
    assert spec.uses_tiles(target)
    np.testing.assert_allclose(result, case.weight_gradients(x, g), atol=1e-3)
    assert margins_hold(result)


def machine_code(spec: KernelSpec) -> list[str]:
    """Return the instructions of the kernel for a processor with tile registers."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    text = codegen.assembly(render.render(spec.build(AMX), AMX), SAPPHIRE_RAPIDS)
    return [line.split()[0] for line in text.splitlines() if line.startswith("\t") and line.split()]


def test_the_machine_code_multiplies_tiles() -> None:
    """For each step along the sum, four tiles are loaded for four products, wherever a product is emitted."""
    case = Case(1, (8, 8), (1, 1), (1, 1), (1, 1), (0, 0), (8, 8), 1, 64, 64)
    taps = ConvWeightTaps(case.window, 64, 64, 32, 64, depth=96, pairs=True).narrowed(["x", "g"])
    for spec, blocks in ((packed(case, 64, False, False, ADD), 2), (taps, 3)):
        code = machine_code(spec)
        counts = {name: code.count(name) for name in ("tdpbf16ps", "tileloadd", "tilestored", "tilezero")}
        assert counts == dict.fromkeys(counts, 4 * blocks)
        assert "ldtilecfg" in code and "tilerelease" in code and "vdpbf16ps" not in code


def test_narrow_layers_use_vectors() -> None:
    case = Case(1, (8, 8), (1, 1), (1, 1), (1, 1), (0, 0), (8, 8), 1, 24, 64)
    spec = packed(case, 64, False, False, ADD)
    assert not spec.uses_tiles(AMX) and "vdpbf16ps" in machine_code(spec)
    assert TILE_ROWS == 16 == AMX.lanes
