"""Machine code for kernel specifications: from this process, from the cache, or from LLVM."""

from __future__ import annotations

import time
from collections.abc import Sequence

from opsin.engines.native import cache, codegen
from opsin.engines.native.driver import driver
from opsin.engines.native.render import render
from opsin.kernels.spec import KernelSpec
from opsin.loops import Target

_addresses: dict[tuple[KernelSpec, str], int] = {}
_driver: dict[str, int] = {}


class Statistics:
    """What compiling has cost this process so far."""

    compiled = 0
    loaded = 0
    seconds = 0.0


def kernel_addresses(specs: Sequence[KernelSpec], target: Target) -> list[int]:
    """The address of each kernel's machine code; equal specifications share one."""
    return [_address(spec, target) for spec in specs]


def driver_addresses() -> tuple[int, int]:
    """The addresses of the driver's two functions: to run a program, and to help with it."""
    if "run" not in _driver:
        this = codegen.host()
        name = cache.key("driver", this.triple, this.cpu, this.features, codegen.version())
        code = cache.read(name)
        if code is None:
            code = codegen.object_code(driver(this.triple))
            cache.write(name, code)
        _driver["run"], _driver["serve"] = codegen.load(code, "opsin_run", "opsin_serve")
    return _driver["run"], _driver["serve"]


def _address(spec: KernelSpec, target: Target) -> int:
    found = _addresses.get((spec, target.name))
    if found is not None:
        return found
    start = time.perf_counter()
    this = codegen.host()
    name = cache.key(repr(spec), repr(target), this.triple, this.cpu, this.features, codegen.version())
    symbol = f"k_{name[:32]}"
    code = cache.read(name)
    if code is None:
        kernel = spec.build(target)
        kernel.name = symbol
        code = codegen.object_code(render(kernel, target))
        cache.write(name, code)
        Statistics.compiled += 1
    else:
        Statistics.loaded += 1
    (found,) = codegen.load(code, symbol)
    _addresses[spec, target.name] = found
    Statistics.seconds += time.perf_counter() - start
    return found
