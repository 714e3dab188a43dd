"""Start a module of this folder in an interpreter that need not have Opsin: `python start.py NAME`.

Except for Opsin's own worker, the package `opsin` is replaced by an empty one that finds its modules next to this file.
Then none of Opsin's dependencies is needed, and no package of one environment is imported by another. Standard output
is reserved for answers, because some libraries print when they are loaded.
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
    sys.path.pop(0)  # this folder, whose modules could hide others
    if name == "native":
        sys.path.insert(0, str(root.parent))
    else:
        package = ModuleType("opsin")
        package.__path__ = [str(root)]
        sys.modules["opsin"] = package
    runpy.run_module(f"opsin.apps.benchmark.workers.{name}", run_name="__main__")
