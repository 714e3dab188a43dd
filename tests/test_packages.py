"""Packages import only earlier packages, at the top of their files; optional libraries stay behind one module each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import opsin

ROOT = Path(opsin.__file__).parent
PACKAGES = (
    "_aliases base ir ops nn zoo kernels compiler backends interop viz tasks inputs data quantization model explain "
    "training planning runs faces gallery report inspection exploration export apps"
).split()
"""Each imports only itself and those before it."""

ENTRY_POINTS = {"__init__.py", "__main__.py"}
LAZY = {
    "__init__.py": "the names of `import opsin`",
    "_aliases.py": "the names of earlier versions",
    "base/optional.py": "libraries that are not installed with Opsin",
    "apps/cli/lazy.py": "the commands",
    "apps/benchmark/workers/keras_layers.py": "Keras' backends",
    "data/decode/pillow_plugins.py": "Pillow's decoders",
    "tasks/registry.py": "the tasks",
    "inputs/registry.py": "the kinds of input",
}
"""Modules that import by a name that is computed, and what these names are."""

OPTIONAL = {
    "llvmlite": "backends/native/codegen.py",
    "torch": "backends/torch.py",
    "tensorboardX": "",
    "pyarrow": "",
    "av": "",
    "soundfile": "",
    "sounddevice": "",
    "starlette": "apps/serve/application.py",
    "uvicorn": "apps/serve/connections.py",
    "httptools": "",
}
"""The module that may import each at its top; others ask `base.optional`."""
WORKERS = "apps/benchmark/workers/"
"""The programs that `opsin bench` compares with; each runs in a process and perhaps an interpreter of its own."""
FILES = sorted(ROOT.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every module that is imported by name, and every attribute of `opsin` itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield from (
                (node, f"opsin.{alias.name}" if node.module == "opsin" else str(node.module)) for alias in node.names
            )
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "opsin":
            yield node, f"opsin.{owner(node.attr)}"


def owner(name: str) -> str:
    """The package of a name of `opsin`'s, such as `train`."""
    return opsin._NAMES.get(name, opsin._MODULES.get(name, name)).split(".")[0]


def violations(source: str, here: str) -> list[str]:
    """What a module of package `here` imports from a later package, or hides from this test."""
    tree, found = ast.parse(source), []
    for node, name in imports(tree):
        parts = name.split(".")
        known = parts[0] == "opsin" and len(parts) > 1 and owner(parts[1]) in PACKAGES
        if known and PACKAGES.index(owner(parts[1])) > PACKAGES.index(here):
            found.append(f"line {getattr(node, 'lineno', 0)} imports {name}")
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += [
                f"line {node.lineno} imports inside a function"
                for node in ast.walk(function)
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found.append(f"line {node.lineno} imports by a computed name")
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_upwards_at_the_top_of_a_file(path: Path) -> None:
    if relative(path) not in ENTRY_POINTS:
        found = violations(path.read_text(), package(path))
        if relative(path) in LAZY:
            found = [text for text in found if "computed" not in text]
        assert not found, f"{relative(path)}: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "from opsin.zoo import find",
        "from opsin import zoo",
        "import opsin.zoo",
        "import opsin\nzoo = opsin.zoo",
        "import opsin\n\ndef f():\n    return opsin.train",
        "def f():\n    import opsin.errors",
        "from importlib import import_module\n\ndef f():\n    return import_module('opsin.zoo')",
        "import importlib\n\nzoo = importlib.import_module('opsin.' + 'zoo')",
        "zoo = __import__('opsin.zoo')",
    ],
)
def test_the_rule_cannot_be_bypassed(source: str) -> None:
    assert violations(source, "ir")
    assert not violations("from opsin.base import errors\nimport opsin.ir.graph\nfrom opsin import base", "ir")


def test_optional_libraries_stay_behind_one_module() -> None:
    for path in FILES:
        for _, name in imports(ast.parse(path.read_text())):
            library = name.split(".")[0]
            if library in OPTIONAL and not relative(path).startswith(WORKERS):
                assert relative(path) == OPTIONAL[library], f"{relative(path)} imports {library}"


def test_every_package_is_listed() -> None:
    assert {package(path) for path in FILES} - {"__init__", "__main__"} == set(PACKAGES)


def test_data_can_be_used_without_llvm() -> None:
    code = "import sys; sys.modules['llvmlite'] = None; import opsin.data; print(len(opsin.data.load('digits').train))"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
