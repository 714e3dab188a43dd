"""The rooms import only leftwards, at the top of their files, and optional packages only behind one module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import opsin

ROOT = Path(opsin.__file__).parent
ROOMS = (
    "errors concurrency processors cache kinds graph ops nn zoo loops kernels compiler engines onnx "
    "data model training seeing reporting estimator benchmark cli"
).split()
FRONT_DOORS = {"__init__.py", "__main__.py"}
KEPT_TO = {
    "llvmlite": "backends/native/codegen.py",
    "torch": "backends/torch.py",
    "tensorboardX": "runs/tensorboard.py",
    "pyarrow": "data/sources/parquet.py",
}
WORKERS = "apps/benchmark/workers/"
"""The programs that `opsin bench` compares with, each in a process and perhaps an interpreter of its own."""
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> list[tuple[ast.stmt, str]]:
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = node.module == "opsin"
            found += [(node, f"opsin.{alias.name}" if whole else str(node.module)) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_left(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in FRONT_DOORS:
        return
    here = ROOMS.index(room(path))
    for _, name in imports(path):
        parts = name.split(".")
        if parts[0] == "opsin" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= here, f"{path.name} imports {name}, a room to its right"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_are_not_hidden_in_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                hidden = isinstance(node, ast.Import | ast.ImportFrom)
                assert not hidden, f"{path}:{getattr(node, 'lineno', 0)} imports inside a function"


def test_heavy_packages_stay_behind_one_module() -> None:
    for path in FILES:
        for _, name in imports(path):
            package = name.split(".")[0]
            if package in KEPT_TO and not path.relative_to(ROOT).as_posix().startswith(WORKERS):
                assert path.relative_to(ROOT).as_posix() == KEPT_TO[package], f"{path} imports {package}"


def test_every_room_is_listed() -> None:
    found = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert found == set(ROOMS)
