"""Names of Opsin 0.1.0 still work, with a DeprecationWarning that gives the new one."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from opsin import _aliases


@pytest.mark.parametrize("old", sorted(_aliases.PACKAGES))
def test_packages(old: str) -> None:
    new = _aliases.PACKAGES[old]
    code = f"import opsin.{old} as old; import opsin.{new} as new; print(old is new, new.__spec__.name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", f"opsin.{new}"]
    assert ("DeprecationWarning" in done.stderr) == (old not in _aliases.PUBLIC)


def test_modules_in_old_packages() -> None:
    code = "from opsin.graph.core import Node as old; from opsin.ir.core import Node as new; print(old is new)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in _aliases.NAMES for name in _aliases.NAMES[package]]
)
def test_names(package: str, name: str) -> None:
    new = _aliases.NAMES[package][name]
    module, _, attribute = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{package}.{name} is now "):
        old = getattr(import_module(package), name)
    assert old is getattr(import_module(module), attribute)


def test_other_names_are_errors() -> None:
    with pytest.raises(AttributeError, match=r"module 'opsin\.training' has no attribute 'Nothing'"):
        import_module("opsin.training").Nothing  # noqa: B018
