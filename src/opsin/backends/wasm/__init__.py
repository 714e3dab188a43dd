"""WebAssembly modules of portable programs, written as bytes: no compiler, assembler or linker is needed."""

from opsin.backends.wasm.module import Tensor, WasmModule, kernel_module, program_module

__all__ = ["Tensor", "WasmModule", "kernel_module", "program_module"]
