"""Machine code for kernel specifications: from this process, from the cache, or from LLVM."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from opsin.backends.native import cache, codegen
from opsin.backends.native.compile_workers import compile_all
from opsin.backends.native.driver import driver, entry_points
from opsin.base.concurrency import ForkLock, locked_cache
from opsin.kernels.ir import Target
from opsin.kernels.spec import KernelSpec

_addresses: dict[tuple[KernelSpec, Target], int] = {}
_compile_lock = ForkLock()


class CompileStats:
    """Kernels compiled and loaded by this process so far, and the seconds that took."""

    compiled = 0
    loaded = 0
    seconds = 0.0


def kernel_addresses(specs: Sequence[KernelSpec], target: Target) -> list[int]:
    """Return the address of each kernel's machine code; equal specifications share one."""
    numbers: dict[KernelSpec, int] = {}
    indices = [numbers.setdefault(spec, len(numbers)) for spec in specs]
    if any((spec, target) not in _addresses for spec in numbers):
        with _compile_lock.lock:
            _link_missing(numbers, target)
    addresses = [_addresses[spec, target] for spec in numbers]
    return [addresses[index] for index in indices]


def _link_missing(specs: Iterable[KernelSpec], target: Target) -> None:
    """Link the kernels that this process does not have yet."""
    start = time.perf_counter()
    missing: dict[str, KernelSpec] = {}
    for spec in specs:
        if (spec, target) not in _addresses:
            name = _name(spec, target)
            code = cache.read(name)
            if code is None:
                missing[name] = spec
            else:
                CompileStats.loaded += 1
                _link(spec, target, name, code)
    if missing:
        objects = compile_all([(_symbol(name), spec) for name, spec in missing.items()], target)
        for name, spec in missing.items():
            code = objects[_symbol(name)]
            cache.write(name, code)
            CompileStats.compiled += 1
            _link(spec, target, name, code)
    CompileStats.seconds += time.perf_counter() - start


def _name(spec: KernelSpec, target: Target) -> str:
    """Return the name of a kernel's entry in the cache."""
    machine = codegen.host()
    return cache.key(repr(spec), repr(target), machine.triple, machine.cpu, machine.features, codegen.version())


def _symbol(name: str) -> str:
    return f"k_{name[:32]}"


def _link(spec: KernelSpec, target: Target, name: str, code: bytes) -> None:
    (_addresses[spec, target],) = codegen.load(code, _symbol(name))


@locked_cache()
def driver_addresses(flush_denormals: bool) -> tuple[int, int]:
    """Return the addresses of the driver's two functions, `entry_points`."""
    machine = codegen.host()
    text = driver(machine.triple, flush_denormals)
    name = cache.key("driver", str(flush_denormals), machine.triple, machine.cpu, machine.features, codegen.version())
    code = cache.read(name)
    if code is None:
        code = codegen.object_code(text)
        cache.write(name, code)
    run, serve = codegen.load(code, *entry_points(flush_denormals))
    return run, serve
