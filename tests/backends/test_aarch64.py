"""Machine code for AArch64, emitted and read on any processor, and what is known of one.

`tools/aarch64.sh` runs it under emulation.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import pytest

from opsin.backends.native import clock, codegen, machine_peak, render
from opsin.backends.native.driver import driver
from opsin.kernels.ir import TARGETS
from opsin.kernels.spec import KernelSpec
from tests.kernels.test_signatures import SPECS
from tests.scripts import script

spills = script("bench/spills.py")
NEON = next(row for row in TARGETS if row.name == "neon")
TILE_KERNELS = {"Conv2d", "Conv2dWeight", "ConvPacked", "ConvPanels", "ConvWeightTaps", "MatMul", "WinogradProducts"}
"""The kernels whose inner loop is the register tile."""
NETWORKS = ("resnet18", "resnet20_cifar", "mobilenet_v2")
PER_KIND = 4


def processor(name: str) -> codegen.Host:
    host: codegen.Host = spills.processor(NEON, name)
    try:
        llvm.Target.from_triple(host.triple)
    except RuntimeError as error:
        pytest.skip(f"this llvmlite was built without LLVM's AArch64 backend: {error}")
    return host


@pytest.fixture(params=["generic", "neoverse-n1", "apple-m1"])
def arm(request: pytest.FixtureRequest) -> codegen.Host:
    return processor(request.param)


@pytest.fixture(scope="module")
def tile_kernels() -> list[KernelSpec]:
    """A few kernels of real networks of each kind: the tiles depend on the sizes of layers."""
    kinds: dict[str, list[KernelSpec]] = {name: [] for name in sorted(TILE_KERNELS)}
    for spec in spills.kernels(NETWORKS, NEON):
        kinds.get(type(spec).__name__, []).append(spec)
    assert all(kinds.values())
    return [spec for specs in kinds.values() for spec in specs[:PER_KIND]]


def assembly(spec: KernelSpec, host: codegen.Host) -> str:
    return codegen.assembly(render.render(spec.build(NEON), NEON), host)


def test_the_register_tile_stays_in_registers(arm: codegen.Host, tile_kernels: list[KernelSpec]) -> None:
    largest = 0
    for spec in tile_kernels:
        products = [loop for loop in spills.loops(assembly(spec, arm)) if loop.multiply_adds >= 8]
        for loop in products:
            assert loop.count(r"fmla\s+v\d+\.4s") == loop.multiply_adds
            assert not loop.count(r"fmul|fadd"), f"products are rounded before they are added in {spec}"
            assert not loop.stack_accesses, f"a tile is spilled in {spec}:\n" + "\n".join(loop.instructions)
        largest = max([largest, *(loop.multiply_adds for loop in products)])
    assert largest >= 24, "no tile of 12 × 2 vectors"


def test_a_tile_that_leaves_one_register_is_found_to_spill() -> None:
    greedy, arm = replace(NEON, factor_registers=1), processor("generic")
    products = (
        loop
        for spec in spills.kernels(NETWORKS, greedy)
        if type(spec).__name__ in TILE_KERNELS
        for loop in spills.loops(codegen.assembly(render.render(spec.build(greedy), greedy), arm))
    )
    assert any(loop.stack_accesses and loop.multiply_adds == 28 for loop in products)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_every_kernel_is_compiled(arm: codegen.Host, spec: KernelSpec) -> None:
    text = assembly(spec, arm)
    assert f"{spec.build(NEON).name}:" in text
    assert not re.search(r"\bbl\s+\w+", text), "calls a function of a library"


def test_the_driver_flushes_denormals_and_yields(arm: codegen.Host) -> None:
    text = codegen.assembly(driver(arm.triple), arm).lower()
    assert text.count("msr\tfpcr") == 2 and "#0x1000000" in text and "yield" in text
    # User programs may read the virtual counter but not, by default, the counter of cycles.
    assert "cntvct_el0" in text and "pmccntr" not in text


def test_the_clock_reads_the_virtual_counter(arm: codegen.Host) -> None:
    text = codegen.assembly(clock.LLVM_TEXT, arm).lower()
    assert "cntvct_el0" in text and "pmccntr" not in text


@pytest.fixture
def unknown_arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A processor of which LLVM finds out nothing, as without /proc/cpuinfo."""
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "arm64-apple-darwin23.1.0")
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "generic")
    monkeypatch.setattr(llvm, "get_host_cpu_features", llvm.FeatureMap)
    yield monkeypatch


def uncached_host() -> codegen.Host:
    host: codegen.Host = codegen.host.__wrapped__()  # type: ignore[attr-defined]
    return host


def test_every_aarch64_has_neon(unknown_arm: pytest.MonkeyPatch) -> None:
    assert uncached_host().targets == [NEON]


def test_nothing_is_assumed_of_other_processors(unknown_arm: pytest.MonkeyPatch) -> None:
    unknown_arm.setattr(llvm, "get_process_triple", lambda: "x86_64-unknown-linux-gnu")
    assert uncached_host().targets == []


CPUINFO = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0c
"""


@pytest.mark.parametrize(
    ("text", "cpu", "name"),
    [
        (CPUINFO, "neoverse-n1", "neoverse-n1"),
        (None, "apple-m1", "apple-m1"),
        (CPUINFO, "generic", "some-machine"),
        ("model name\t: AMD EPYC\n" * 2, "znver5", "AMD EPYC"),
    ],
)
def test_a_processor_has_the_best_name_known(
    monkeypatch: pytest.MonkeyPatch, text: str | None, cpu: str, name: str
) -> None:
    def read_text(path: Path, *args: Any, **options: Any) -> str:
        assert path == Path("/proc/cpuinfo")
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(codegen, "host", lambda: codegen.Host(cpu, "", ""))
    monkeypatch.setattr(platform, "machine", lambda: "some-machine")
    assert machine_peak.cpu_model() == name
