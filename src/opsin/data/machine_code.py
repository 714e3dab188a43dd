"""The compiled kernels that images are resized and augmented with. Without llvmlite there are none."""

from __future__ import annotations

from opsin.base.errors import CompileError
from opsin.kernels.spec import KernelSpec

try:
    from opsin.backends.native.codegen import host
    from opsin.backends.native.kernel_store import kernel_addresses
except ImportError:
    host = None  # type: ignore[assignment]


def compiled(spec: KernelSpec) -> tuple[int, int]:
    """Return the address of a kernel's machine code and its lanes. `CompileError` if this machine can run none."""
    if host is None:
        raise CompileError("machine code needs llvmlite; install it with: pip install llvmlite")
    target = host().target
    return kernel_addresses([spec], target)[0], target.lanes
