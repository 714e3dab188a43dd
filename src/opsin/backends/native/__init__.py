"""Graphs as machine code for this processor, through LLVM. The only package that imports llvmlite."""

from opsin.backends.native.program import Native, compile

__all__ = ["Native", "compile"]
