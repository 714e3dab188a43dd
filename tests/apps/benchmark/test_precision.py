"""The precisions of peers: by the names of their modes, by the processor, and by the option."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from opsin.apps.benchmark import precision
from opsin.apps.benchmark.cases import Case
from opsin.apps.benchmark.peers import PEERS
from opsin.apps.benchmark.precision import BF16, FLOAT32, INT8, multiplied_here, precision_of
from opsin.apps.cli import bench
from opsin.base.errors import UsageError


def test_modes_name_their_precision() -> None:
    assert precision_of("") == precision_of("compile channels_last") == FLOAT32
    assert precision_of("eager bf16") == BF16 and precision_of("QDQ int8") == INT8
    assert PEERS["pytorch"].modes("train", (FLOAT32,)) == PEERS["pytorch"].train[:4]
    assert all(mode.endswith(" bf16") for mode in PEERS["pytorch"].modes("infer", (BF16,)))
    assert PEERS["openvino"].modes("infer") == ("latency", "latency bf16")
    assert not PEERS["openvino"].modes("train")


@pytest.mark.parametrize(
    ("features", "expected"),
    [({"avx512f"}, (FLOAT32,)), ({"avx512bf16"}, (FLOAT32, BF16)), ({"bf16", "neon"}, (FLOAT32, BF16))],
)
def test_processors(features: set[str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.codegen, "host", lambda: SimpleNamespace(enabled=frozenset(features)))
    assert multiplied_here() == expected


def test_the_option_limits_the_modes() -> None:
    case, pythons = Case("lenet5", "infer", 1, (1, 28, 28), 1), {"pytorch": sys.executable, "openvino": sys.executable}
    both = bench.competitors(case, pythons, bench.precisions_of(BF16))
    single = bench.competitors(case, pythons, bench.precisions_of(FLOAT32))
    assert {each.precision for each in single} == {FLOAT32} and {each.precision for each in both} == {FLOAT32, BF16}
    assert bench.precisions_of(None) == multiplied_here()
    whole = bench.competitors(case, pythons, bench.precisions_of(INT8))
    assert {each.title for each in whole if each.precision == INT8} == {"Opsin int8", "OpenVINO latency int8"}
    assert not any(each.precision == INT8 for each in both)
    with pytest.raises(UsageError, match="the precision must be float32, bf16 or int8, not 'int4'"):
        bench.precisions_of("int4")
