"""C99: kernels and portable programs as source text that needs no library, with the bits of the portable engine."""

from opsin.backends.c.kernel import CKernel, render_kernel
from opsin.backends.c.prelude import prelude
from opsin.backends.c.program import CProgram, render_program

__all__ = ["CKernel", "CProgram", "prelude", "render_kernel", "render_program"]
