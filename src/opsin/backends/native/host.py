"""What machine code is tuned for, chosen by the features of the processor.

LLVM recognizes a processor by its model number. It does not know models that are newer than itself, and a hypervisor
may hide the number or some features: then it calls a server processor with AMX "rocketlake". Its name determines how
instructions are scheduled and which features they may use. Therefore the name is looked up here by the features that
the processor has, and all features that it lacks are disabled.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Collection, Mapping

INTEL = (
    ("graniterapids", ("avx512f", "amx-fp16")),
    ("sapphirerapids", ("avx512f", "amx-tile")),
    ("sapphirerapids", ("avx512f", "avx512fp16")),
    ("cooperlake", ("avx512f", "avx512bf16")),
    ("icelake-server", ("avx512f", "avx512vbmi2")),
    ("cascadelake", ("avx512f", "avx512vnni")),
    ("skylake-avx512", ("avx512f", "avx512vl", "avx512bw", "avx512dq")),
    ("alderlake", ("avx2", "fma", "avxvnni")),
    ("skylake", ("avx2", "fma", "clflushopt")),
    ("haswell", ("avx2", "fma")),
    ("sandybridge", ("avx",)),
    ("nehalem", ("sse4.2",)),
    ("penryn", ("sse4.1",)),
)
"""LLVM's names of Intel's processors and the features that distinguish them, newest first."""
AMD = (
    ("znver5", ("avx512f", "avx512bf16", "avxvnni")),
    ("znver4", ("avx512f", "avx512vl", "avx512bw", "avx512dq")),
    ("znver3", ("avx2", "fma", "vpclmulqdq")),
    ("znver2", ("avx2", "fma", "clwb")),
    ("znver1", ("avx2", "fma", "sha")),
    ("bdver4", ("avx2", "fma")),
    ("bdver2", ("avx", "fma")),
    ("btver2", ("avx",)),
)
"""The same for AMD's."""
AMD_FEATURE, AMD_NAMES = "sse4a", ("znver", "bdver", "btver", "amdfam")
"""A feature that all these processors of AMD have and no other, and how LLVM's names of them begin."""

SHOWN = {
    "avx512f": "AVX-512", "avx512vnni": "VNNI", "avx512bf16": "BF16", "avx512fp16": "FP16", "amx-bf16": "AMX-BF16",
    "amx-fp16": "AMX-FP16", "amx-int8": "AMX-INT8", "avxvnni": "AVX-VNNI", "avx2": "AVX2", "fma": "FMA",
    "sse4.1": "SSE4.1", "neon": "NEON", "fullfp16": "FP16", "dotprod": "dot product", "bf16": "BF16", "i8mm": "I8MM",
    "sve": "SVE", "sve2": "SVE2",
}  # fmt: skip
"""How features that affect the speed of networks are shown, by LLVM's names."""
INCLUDED = {"avx512f": ("avx2", "fma", "sse4.1"), "avx2": ("sse4.1",)}
"""Features that every processor with another one has: they are not shown."""

AMX = "amx-"
"""How LLVM's names of the features of AMX begin."""
AMX_VARIABLE = "OPSIN_AMX"
"""The environment variable that allows tile registers."""
ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
"""Linux on x86-64: the system call, its request (ARCH_REQ_XCOMP_PERM), and the number of the tile registers' state."""


def processor_model(name: str, features: Collection[str]) -> str:
    """Return LLVM's name of the processor that has most of `features`, which is `name` if they are not those of x86.

    `name` is LLVM's own guess. It decides between AMD and others if the features do not.
    """
    is_amd = AMD_FEATURE in features or name.startswith(AMD_NAMES)
    for model, needs in AMD if is_amd else INTEL:
        if all(need in features for need in needs):
            return model
    return name


def tiles_permitted() -> bool:
    """Ask the system for the tile registers of AMX, and return whether this process may use them.

    Linux gives them only to processes that ask (Documentation/arch/x86/xstate.rst). Threads and forks inherit them.
    Kernels that use them have not run on hardware yet, so they are used only if the variable `OPSIN_AMX` is 1.
    """
    if os.environ.get(AMX_VARIABLE) != "1" or sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    status: int = ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA)
    return status == 0


def permitted_features(features: Collection[str], is_permitted: Callable[[], bool] = tiles_permitted) -> frozenset[str]:
    """Return `features` without those of AMX if the system does not give this process its registers."""
    has_tiles = any(name.startswith(AMX) for name in features)
    if not has_tiles or is_permitted():
        return frozenset(features)
    return frozenset(name for name in features if not name.startswith(AMX))


def feature_string(features: Mapping[str, bool]) -> str:
    """Return LLVM's list of features, with those that are absent disabled, whichever the model implies.

    They come last: an earlier feature that implies one of them would enable it.
    """
    present = sorted(name for name, has in features.items() if has)
    absent = sorted(name for name, has in features.items() if not has)
    return ",".join([*(f"+{name}" for name in present), *(f"-{name}" for name in absent)])


def shown_features(features: Collection[str]) -> list[str]:
    """Return the features that affect the speed of networks, as they are shown."""
    included = {name for feature in features for name in INCLUDED.get(feature, ())}
    return [text for name, text in SHOWN.items() if name in features and name not in included]
