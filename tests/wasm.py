"""WebAssembly in wasmtime: modules as Python functions on NumPy memory."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from opsin.backends.wasm import kernel_module
from opsin.backends.wasm.memory import MAX_OFFSET
from opsin.kernels.ir import DTYPES, Kernel

HAS_WASMTIME = find_spec("wasmtime") is not None
needs_wasmtime = pytest.mark.skipif(not HAS_WASMTIME, reason="needs wasmtime: pip install wasmtime")

GAP, FILLING = 128, 0xA5
"""Bytes between arrays, and their value, which must not change."""


@cache
def _engine() -> Any:
    import wasmtime

    config = wasmtime.Config()
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class Instance:
    """An instance of a module: its exported functions, and its memory as bytes."""

    def __init__(self, code: bytes) -> None:
        import wasmtime

        self.store = wasmtime.Store(_engine())
        module = wasmtime.Module(_engine(), code)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    @property
    def memory(self) -> np.ndarray:
        memory: Any = self.exports["memory"]
        address = ctypes.addressof(memory.data_ptr(self.store).contents)
        return np.frombuffer((ctypes.c_uint8 * memory.data_len(self.store)).from_address(address), np.uint8)

    def call(self, name: str, *arguments: int) -> None:
        function: Any = self.exports[name]
        function(self.store, *arguments)


def call_wasm(
    kernel: Kernel, simd: bool, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0
) -> None:
    """Run a kernel on arrays, which are changed in place. No byte between the arrays may change."""
    places, at = [], MAX_OFFSET + GAP
    for array in [*(arg for arg in args if not isinstance(arg, int)), np.zeros(max(scratch, 1), np.float32)]:
        places.append((array, at))
        at = -(-(at + array.nbytes + GAP) // 64) * 64
    instance = Instance(kernel_module({"kernel": kernel}, simd, at - MAX_OFFSET))
    memory = instance.memory
    memory[:] = FILLING
    free = np.ones(memory.size, np.bool_)
    for array, place in places:
        free[place : place + array.nbytes] = False
        memory[place : place + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    addresses = iter([place for _, place in places])
    words = [arg if isinstance(arg, int) else next(addresses) for arg in args]
    instance.call("kernel", *words, begin, end, next(addresses))
    assert (memory[free] == FILLING).all(), f"{kernel.name} wrote outside its arrays"
    for array, place in places[:-1]:
        array[...] = memory[place : place + array.nbytes].view(array.dtype).reshape(array.shape)


def tensor(memory: np.ndarray, place: Any) -> np.ndarray:
    """Return an input or output of a module as a view of its memory."""
    words = memory[place.address : place.address + (memory.size - place.address) // 4 * 4]
    return np.lib.stride_tricks.as_strided(words.view(DTYPES[place.element]), place.shape, place.strides)


def run_program(module: Any, constants: bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run the module of a portable program, and return copies of its outputs."""
    instance = Instance(module.code)
    memory = instance.memory
    memory[module.constants : module.constants + len(constants)] = np.frombuffer(constants, np.uint8)
    for name, array in inputs.items():
        tensor(memory, module.inputs[name])[...] = array
    instance.call("run")
    return {name: tensor(memory, place).copy() for name, place in module.outputs.items()}
