"""Starts one of this folder's modules in an interpreter that may have nothing else of Opsin: `python start.py NAME`.

For all but Opsin's own, the package `opsin` is put up as an empty one whose modules are found beside this file, so that
none of Opsin's dependencies is needed, and none of this environment's packages gets into another's. Standard output is
kept for answers: some libraries print when they are loaded.
"""

import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

if __name__ == "__main__":
    os.environ["OPSIN_ANSWERS"] = str(os.dup(1))
    os.dup2(2, 1)
    name, root = sys.argv[1], Path(__file__).resolve().parents[3]
    sys.path.pop(0)  # this folder, whose modules could be taken for others'
    if name == "native":
        sys.path.insert(0, str(root.parent))
    else:
        package = ModuleType("opsin")
        package.__path__ = [str(root)]
        sys.modules["opsin"] = package
    runpy.run_module(f"opsin.apps.benchmark.workers.{name}", run_name="__main__")
