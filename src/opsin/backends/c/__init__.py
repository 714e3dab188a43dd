"""C99: kernels and portable programs as source text that needs no library, with the bits of the portable engine."""

from opsin.backends.c.kernel import CKernel, render_kernel
from opsin.backends.c.prelude import prelude
from opsin.backends.c.program import CProgram, render_program
from opsin.backends.c.tables import Table

__all__ = ["CKernel", "CProgram", "Table", "prelude", "render_kernel", "render_program"]
