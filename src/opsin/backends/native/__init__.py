"""Graphs as machine code for this processor, through LLVM. The only room that touches llvmlite."""

from opsin.backends.native.program import Native, compile

__all__ = ["Native", "compile"]
