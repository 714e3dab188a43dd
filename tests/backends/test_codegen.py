"""Machine code in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAR_APART = """
import mmap
import numpy as np
from opsin import nn
from opsin.backends.native import compile

def run(filters):
    graph = nn.trace(nn.Sequential(nn.Conv2d(filters, 3), nn.Tanh()), (3, 9, 9))
    program = compile(graph, 1, threads=1)
    program.load_state(nn.initial_state(graph, 1))
    return program.run(inputs=np.ones((1, 3, 9, 9)))["logits"]

def aligned_size(size, prot=mmap.PROT_READ):
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot)

run(5)
pages = [aligned_size(4096, prot) for _ in range(100) for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)]
for page in pages[::2]:
    page.close()
far = aligned_size(3 * 2**30)
assert all(np.isfinite(run(filters)).all() for filters in range(6, 16))
print("fine")
"""
"""Leave holes of one page in the address space, which fit a kernel's constants but not its code: the code is put beyond
three gigabytes of data, as large networks have them.
"""


@pytest.mark.skipif(sys.platform == "win32", reason="makes holes in the address space as POSIX systems do")
def test_code_and_its_constants_stay_together_among_gigabytes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPSIN_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FAR_APART], capture_output=True, text=True, env=environment)
    assert done.stdout == "fine\n", done.stderr
