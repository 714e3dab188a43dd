"""The processor that machine code is made for: its model follows from its features."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest

from opsin.backends.native import codegen, render
from opsin.backends.native.host import (
    AMD,
    INTEL,
    feature_string,
    permitted_features,
    processor_model,
    shown_features,
)
from opsin.kernels.ir import TARGETS
from tests.scripts import script

spills = script("bench/spills.py")
AVX512 = ("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx2", "fma", "sse4.2", "sse4.1")


@pytest.mark.parametrize(
    ("name", "features", "model"),
    [
        ("rocketlake", (*AVX512, "avx512vbmi2", "avx512bf16", "avx512fp16", "amx-tile", "amx-int8"), "sapphirerapids"),
        ("rocketlake", (*AVX512, "avx512vbmi2", "avx512bf16"), "cooperlake"),
        ("rocketlake", (*AVX512, "avx512vbmi2", "avx512vnni"), "icelake-server"),
        ("generic", AVX512, "skylake-avx512"),
        ("sapphirerapids", ("avx2", "fma", "sse4.1", "clflushopt"), "skylake"),
        ("generic", (*AVX512, "avx512bf16", "sse4a"), "znver4"),
        ("znver4", (*AVX512, "avx512bf16"), "znver4"),
        ("znver5", (*AVX512, "avx512bf16", "avxvnni", "sse4a"), "znver5"),
        ("znver5", ("avx2", "fma", "sha", "sse4a"), "znver1"),
        ("generic", (), "generic"),
        ("neoverse-n1", ("neon", "dotprod"), "neoverse-n1"),
    ],
)
def test_the_model_follows_from_the_features(name: str, features: tuple[str, ...], model: str) -> None:
    assert processor_model(name, features) == model


def test_tile_registers_need_the_permission_of_the_system() -> None:
    features = {*AVX512, "avx512bf16", "amx-tile", "amx-bf16"}
    assert permitted_features(features, lambda: True) == features
    assert permitted_features(features, lambda: False) == {*AVX512, "avx512bf16"}
    assert permitted_features({"avx2"}, lambda: pytest.fail("asked without need")) == {"avx2"}
    (row,) = (row for row in TARGETS if row.lanes == 16)
    assert (
        row.with_features(features).tiles and not row.with_features(permitted_features(features, lambda: False)).tiles
    )


def test_tile_registers_are_used_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSIN_AMX", raising=False)
    assert permitted_features({"amx-tile", "amx-bf16", "avx2"}) == {"avx2"}


def test_absent_features_are_disabled_after_those_that_imply_them() -> None:
    assert feature_string({"avx512vl": True, "avx512f": False, "avx2": True}) == "+avx2,+avx512vl,-avx512f"
    assert not set(codegen.host().enabled) & {f[1:] for f in codegen.host().features.split(",") if f[0] == "-"}


def test_features_are_shown_without_those_that_others_include() -> None:
    assert shown_features((*AVX512, "avx512vnni", "amx-bf16", "cmov")) == ["AVX-512", "VNNI", "AMX-BF16"]
    assert shown_features(("avx2", "fma", "sse4.1")) == ["AVX2", "FMA"]
    assert shown_features(("neon", "bf16")) == ["NEON", "BF16"]


@pytest.mark.parametrize("model", sorted({model for model, needs in (*INTEL, *AMD) if "avx512f" in needs}))
def test_vectors_of_avx512_keep_their_width(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    target = TARGETS[0]
    host = emulated(model, ",".join(f"+{feature}" for feature in AVX512))
    for spec in spills.kernels(("lenet5",), target):
        if type(spec).__name__ in ("Conv2d", "ConvPacked", "MatMul"):
            text = codegen.assembly(render.render(spec.build(target), target), host)
            products = re.findall(r"vfn?m(?:add|sub)\d+ps.*", text)
            assert products and all("%zmm" in product for product in products)
    assert "not a recognized" not in capfd.readouterr().err


@pytest.mark.parametrize("model", sorted({model for model, _ in (*INTEL, *AMD)}))
def test_absent_features_are_not_used(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    target = TARGETS[2]
    absent = dict.fromkeys(("avx", "avx2", "fma", "fma4", "avx512f"), False)
    host = emulated(model, feature_string({"sse4.1": True, **absent}))
    spec = next(spec for spec in spills.kernels(("lenet5",), target) if type(spec).__name__ == "Conv2d")
    text = codegen.assembly(render.render(spec.build(target), target), host)
    assert "mulps" in text and not re.search(r"\bv\w+ps\b|%[yz]mm", text)
    assert "not a recognized" not in capfd.readouterr().err


def emulated(model: str, features: str) -> codegen.Host:
    """Return an x86 processor of LLVM's name `model`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this llvmlite was built without LLVM's x86 backend: {error}")
    return codegen.Host(model, "x86_64-unknown-linux-gnu", features)
