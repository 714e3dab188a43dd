"""Kernels that C programs have a function for: one for all calls, with the sizes of each in a structure.

The texts in `functions/` compute what the kernels of the same names in `kernels/windows.py` and `kernels/quantized.py`
do. They have variants for Arm's DSP and MVE extensions and for vectors, and plain C, which defines them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

VECTOR_FUNCTIONS = ("b4_load_pairs", "p4_store", "i4_add", "i4_all", "i4_dot")
SCALAR_FUNCTIONS = ("i_add", "i_mul", "i_sar")
STRUCTURES: dict[str, Sequence[str]] = {
    "window": (
        "H", "W", "OH", "OW", "kh", "kw", "sh", "sw", "dh", "dw", "top", "left", "pixel", "x_zero",
        "channels", "filters", "out_pixel", "zero", "low", "high",
        "factor", "skip_factor", "skip_bias", "shift", "add_low", "add_high",
    ),
    "lookup_size": ("count", "block"),
}  # fmt: skip
"""The members of the structures that `functions/` declares, in their order."""


@dataclass(frozen=True)
class SharedKernel:
    """The files of a function, the names of its pointers in order, and the `functions` of the prelude that it calls.

    The address of a `structure` of sizes is the first argument, and `begin`, `end` and `scratch` the last ones.
    """

    texts: tuple[str, ...]
    pointers: tuple[str, ...]
    functions: tuple[str, ...]
    structure: str = "window"

    def call(self, name: str, sizes: str, arguments: Mapping[str, str], blocks: int) -> str:
        """Return the statement of a call with the address of its sizes; pointers that the kernel lacks are null."""
        pointers = [arguments.get(pointer, "NULL") for pointer in self.pointers]
        return f"{name}({', '.join([sizes, *pointers, '0', str(blocks), arguments['scratch']])});"


SHARED_KERNELS = {
    "conv_windows": SharedKernel(
        ("extensions.c", "window.c", "convolve.c", "convolve_dsp.c", "convolve_mve.c", "conv_windows.c"),
        ("x", "u", "skip", "y"),
        (*SCALAR_FUNCTIONS, *VECTOR_FUNCTIONS),
    ),
    "depthwise_windows": SharedKernel(
        ("extensions.c", "window.c", "depthwise.c", "depthwise_mve.c", "depthwise_windows.c"),
        ("x", "u", "y"),
        SCALAR_FUNCTIONS,
    ),
    "lookup_bytes": SharedKernel(("extensions.c", "lookup_bytes.c"), ("x", "table", "y"), (), "lookup_size"),
}


def shared_text(names: Iterable[str]) -> str:
    """Return the definitions of the functions for the kernels `names`, some of which may not be shared."""
    texts = dict.fromkeys(text for name in names if name in SHARED_KERNELS for text in SHARED_KERNELS[name].texts)
    folder = files("opsin.backends.c").joinpath("functions")
    return "\n".join(folder.joinpath(text).read_text(encoding="utf-8") for text in texts)
