"""Compiled kernels that are called from Python, such as those that resize and augment images. They need llvmlite."""

from __future__ import annotations

from opsin.base.errors import CompileError
from opsin.kernels.ir import Target
from opsin.kernels.spec import KernelSpec

try:
    from opsin.backends.native.codegen import host
    from opsin.backends.native.kernel_store import kernel_addresses
except ImportError:
    host = None  # type: ignore[assignment]


def has_compiler() -> bool:
    """Return whether llvmlite is installed."""
    return host is not None


def kernel_address(spec: KernelSpec, target: Target | None = None) -> tuple[int, int]:
    """Return the address of a kernel's machine code and its number of vector lanes.

    The code is for `target`, by default this processor. Raise `CompileError` without llvmlite, or on a processor that
    is not supported.
    """
    if host is None:
        raise CompileError("machine code needs llvmlite; install it with: pip install llvmlite")
    target = host().target if target is None else target
    return kernel_addresses([spec], target)[0], target.lanes
