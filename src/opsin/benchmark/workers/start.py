"""Starts one of this folder's modules in an interpreter that may have nothing else of Opsin: `python start.py NAME`.

The package `opsin` is put up as an empty one whose modules are found beside this file, so that none of Opsin's
dependencies is needed, and none of this environment's packages gets into another's.
"""

import runpy
import sys
from pathlib import Path
from types import ModuleType

if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose modules could be taken for others'
    package = ModuleType("opsin")
    package.__path__ = [str(Path(__file__).resolve().parents[2])]
    sys.modules["opsin"] = package
    runpy.run_module(f"opsin.benchmark.workers.{sys.argv[1]}", run_name="__main__")
