"""Install the oldest versions of the dependencies that pyproject.toml allows, and run a part of the tests with them.

    python tools/minimum_versions.py [FOLDER]

FOLDER is the virtual environment, .venv-minimum by default.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/backends/test_native.py", "tests/kernels/test_pool.py", "tests/data/decode", "tests/model",
    "tests/apps/cli/test_commands.py", "tests/interop/torch", "tests/explain", "tests/inspection/test_api.py",
)  # fmt: skip
"""Tests that use each dependency: LLVM, arrays, decoding, model files, the command line."""


def lower_bounds() -> list[str]:
    """Return the core dependencies as requirements of exactly their oldest allowed version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = []
    for requirement in project["dependencies"]:
        match = re.match(r"([\w-]+)>=([\w.]+)", requirement)
        if match is None:
            raise SystemExit(f"{requirement} in pyproject.toml has no lower bound")
        bounds.append(f"{match[1]}=={match[2]}")
    return bounds


def main(folder: Path) -> int:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *lower_bounds(), "pytest>=8", "hypothesis>=6.100"], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
    tests = [path for path in TESTS if (ROOT / path).exists()]
    return subprocess.run([str(python), "-m", "pytest", "-q", *tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".venv-minimum"))
