"""Compiled code on disk: found again, never trusted blindly, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from opsin import ops as F
from opsin.backends.native import cache, codegen, compile, kernel_store
from opsin.ir import BATCH, Graph, input_tensor


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a process that has compiled nothing yet."""
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    monkeypatch.setattr(kernel_store, "_addresses", {})
    cache._warn.cache_clear()
    return tmp_path


def run() -> np.ndarray:
    x = input_tensor("x", (BATCH, 4))
    program = compile(Graph((x,), {"y": F.multiply(F.exp(x), 3.0)}), 2, 1)
    return program.run(x=np.arange(8.0).reshape(2, 4) / 8)["y"]


def entries(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "kernels").rglob("*") if p.is_file())


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_store, "_addresses", {})


def test_what_was_compiled_is_loaded(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = run()
    compiled = kernel_store.CompileStats.compiled
    forget(monkeypatch)
    np.testing.assert_array_equal(run(), wanted)
    assert kernel_store.CompileStats.compiled == compiled
    assert entries(fresh)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "moved"])
def test_a_damaged_entry_is_compiled_again(fresh: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    wanted = run()
    for path in entries(fresh):
        content = bytearray(path.read_bytes())
        if damage == "truncated":
            content = content[: len(content) // 2]
        elif damage == "flipped":
            content[-20] ^= 0xFF
        elif damage == "empty":
            content = bytearray()
        else:  # another entry's content under this name
            content[20] ^= 1
        path.write_bytes(content)
    compiled = kernel_store.CompileStats.compiled
    forget(monkeypatch)
    np.testing.assert_array_equal(run(), wanted)
    assert kernel_store.CompileStats.compiled > compiled


def test_an_entry_of_another_processor_is_not_found(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this = codegen.host()
    names = {cache.key("spec", cpu, this.features) for cpu in (this.cpu, "another-cpu")}
    names.add(cache.key("spec", this.cpu, this.features + ",+amx"))
    assert len(names) == 3
    cache.write(cache.key("spec", "another-cpu", this.features), b"code")
    assert cache.read(cache.key("spec", this.cpu, this.features)) is None


@pytest.mark.skipif(os.name == "nt", reason="permissions work otherwise on Windows")
def test_a_cache_that_cannot_be_written_only_warns(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("OPSIN_CACHE", str(blocked / "cache"))
    with pytest.warns(RuntimeWarning) as warned:
        run()
        cache.write("ab" * 32, b"code")
        cache.write("cd" * 32, b"code")
    (said,) = warned
    assert str(said.message) == (
        f"compiled code cannot be saved in {blocked}/cache/kernels: Not a directory; "
        "set OPSIN_CACHE to a folder that can be written, or the next start compiles again"
    )


def test_nothing_half_written_stays_when_the_disk_is_full(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        run()
    assert entries(fresh) == []
