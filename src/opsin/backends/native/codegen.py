"""From LLVM text to machine code in memory, through llvmlite."""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm

from opsin.backends.native.driver import architecture
from opsin.backends.native.host import feature_string, permitted_features, processor_model
from opsin.base.concurrency import ForkLock, lazy, locked_cache
from opsin.base.errors import CompileError
from opsin.kernels.ir import Target, best_target, usable_targets

_llvm = ForkLock().held_over_forks()
"""Held by every user of LLVM, and over forks: a process forked in the middle could never use LLVM again."""


@dataclass(frozen=True)
class Host:
    """This processor: LLVM's names of its model (see `host.processor_model`), its platform and its features."""

    cpu: str
    triple: str
    features: str

    @lazy
    def enabled(self) -> frozenset[str]:
        return frozenset(name[1:] for name in self.features.split(",") if name.startswith("+"))

    @property
    def targets(self) -> list[Target]:
        """Every row of the target table that this processor can run, widest first."""
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
    triple, features = llvm.get_process_triple(), llvm.get_host_cpu_features()
    if architecture(triple) == "aarch64":
        # LLVM reads the features from /proc/cpuinfo. Other systems and emulators have no such file, but all of them
        # require Advanced SIMD.
        features.setdefault("neon", True)
    present = permitted_features({name for name, has in features.items() if has})
    features.update({name: name in present for name in features})
    return Host(processor_model(llvm.get_host_cpu_name(), present), triple, feature_string(features))


@locked_cache(_llvm)
def _machine(processor: Host) -> llvm.TargetMachine:
    return llvm.Target.from_triple(processor.triple).create_target_machine(
        cpu=processor.cpu, features=processor.features, opt=3, reloc="pic", codemodel="default", jit=True
    )


def _optimized(text: str, processor: Host) -> llvm.ModuleRef:
    """Return the module of `text` after LLVM's passes."""
    machine = _machine(processor)
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = processor.triple, str(machine.target_data)
    # Kernels are vectorised and unrolled already, with their sums in registers, so that few passes are needed.
    # LLVM's standard pipeline takes six times as long and makes no kernel faster.
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return module


def object_code(text: str) -> bytes:
    """Return `text` compiled to a relocatable object for this processor."""
    with _llvm.lock:
        return bytes(_machine(host()).emit_object(_optimized(text, host())))


def assembly(text: str, processor: Host | None = None) -> str:
    """Return `text` compiled to the assembly language of `processor` (this one by default), for people.

    The caller initialises LLVM for any other architecture.
    """
    with _llvm.lock:
        processor = processor or host()
        return str(_machine(processor).emit_assembly(_optimized(text, processor)))


@locked_cache(_llvm)
def _engine() -> llvm.ExecutionEngine:
    # llvmlite's memory manager keeps the sections of an object together. LLVM's own allocates each by itself: next to
    # gigabytes of data, a kernel may end up further from its constants than 32-bit offsets reach, and LLVM aborts.
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(host()), use_lmm=True)


def load(code: bytes, *names: str) -> tuple[int, ...]:
    """Link an object into this process; return the addresses of its functions `names`."""
    with _llvm.lock:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        addresses = tuple(int(engine.get_function_address(name)) for name in names)
    if not all(addresses):
        raise CompileError(f"the compiled object does not hold all of {', '.join(names)}")
    return addresses


def version() -> str:
    """Return LLVM's version, which the machine code depends on, too."""
    return ".".join(str(part) for part in llvm.llvm_version_info)
