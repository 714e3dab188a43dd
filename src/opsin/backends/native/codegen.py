"""From LLVM text to machine code in memory, and the cache between the two.

The only file, with its neighbours in this room, that touches llvmlite.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm

from opsin.base.concurrency import ForkLock, lazy, locked_cache
from opsin.base.errors import CompileError
from opsin.kernels.ir import Target, best_target, usable_targets

_llvm = ForkLock().held_over_forks()
"""Held by whoever uses LLVM. A process forked in the middle of that could never use LLVM again."""


@dataclass(frozen=True)
class Host:
    """This processor, as LLVM sees it."""

    cpu: str
    triple: str
    features: str

    @lazy
    def enabled(self) -> frozenset[str]:
        return frozenset(name[1:] for name in self.features.split(",") if name.startswith("+"))

    @property
    def targets(self) -> list[Target]:
        """Every row of the target table that runs here, widest first."""
        return usable_targets(self.enabled)

    @property
    def target(self) -> Target:
        row = best_target(self.enabled)
        if row is None:
            raise CompileError(
                f"this processor ({self.cpu}) has none of AVX-512, AVX2 with FMA, SSE4.1 or NEON, which native code "
                "needs; use the reference engine"
            )
        return row


@locked_cache(_llvm)
def host() -> Host:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return Host(llvm.get_host_cpu_name(), llvm.get_process_triple(), llvm.get_host_cpu_features().flatten())


@locked_cache(_llvm)
def _machine() -> llvm.TargetMachine:
    this = host()
    return llvm.Target.from_triple(this.triple).create_target_machine(
        cpu=this.cpu, features=this.features, opt=3, reloc="pic", codemodel="default", jit=True
    )


def _optimised(text: str) -> llvm.ModuleRef:
    """The module of `text` after LLVM's passes."""
    machine = _machine()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = host().triple, str(machine.target_data)
    # Kernels come vectorised, unrolled and with their sums in registers; what is left to do is little.
    # LLVM's standard pipeline takes six times as long for the same speed.
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return module


def object_code(text: str) -> bytes:
    """`text` compiled to a relocatable object for this processor."""
    with _llvm.lock:
        return bytes(_machine().emit_object(_optimised(text)))


def assembly(text: str) -> str:
    """`text` compiled to this processor's assembly language, to read."""
    with _llvm.lock:
        return str(_machine().emit_assembly(_optimised(text)))


@locked_cache(_llvm)
def _engine() -> llvm.ExecutionEngine:
    host()
    # llvmlite's memory manager keeps the sections of an object together. LLVM's own looks for room for each, and beside
    # gigabytes of data a kernel may come to lie further from its constants than its 32-bit offsets reach: LLVM aborts.
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(), use_lmm=True)


def load(code: bytes, *names: str) -> tuple[int, ...]:
    """Links an object into this process; the addresses of its functions `names`."""
    with _llvm.lock:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        addresses = tuple(int(engine.get_function_address(name)) for name in names)
    if not all(addresses):
        raise CompileError(f"the compiled object does not hold all of {', '.join(names)}")
    return addresses


def version() -> str:
    """LLVM's version, which decides the machine code too."""
    return ".".join(str(part) for part in llvm.llvm_version_info)
