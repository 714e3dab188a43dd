"""Machine code of register tiles for x86, which is emitted on any machine."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from opsin.backends.native import codegen, render
from opsin.kernels.conv import Conv2d, ConvWindow
from opsin.kernels.ir import TARGETS
from tests.scripts import script

spills = script("bench/spills.py")


@pytest.mark.parametrize("cpu", ["skylake-avx512", "znver5"])
def test_the_first_layer_of_lenet_stays_in_registers(cpu: str) -> None:
    """Its run of five numbers is short enough to unroll, but not for every height of the tile."""
    target = next(row for row in TARGETS if row.name == "avx512")
    host: codegen.Host = spills.processor(target, cpu)
    try:
        llvm.Target.from_triple(host.triple)
    except RuntimeError as error:
        pytest.skip(f"this llvmlite was built without LLVM's x86 backend: {error}")
    spec = Conv2d(ConvWindow(1, 1, 5, 1, 1), 6, 28, padded=True)
    assembly = codegen.assembly(render.render(spec.build(target), target), host)
    products = [loop for loop in spills.loops(assembly) if loop.multiply_adds >= 8]
    assert products
    assert not any(loop.stack_accesses for loop in products)
