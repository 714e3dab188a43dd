"""Packages and modules under the names that they had in Opsin 0.1.0: they import, with a DeprecationWarning.

Only names that the documentation of 0.1.0 mentions are kept, for one release.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # `importlib.abc` takes 9 ms to import, half as long as all of `import opsin`.

PACKAGES = {
    "benchmark": "apps.benchmark", "cli": "apps.cli", "engines": "backends", "errors": "base.errors",
    "estimator": "apps.estimator", "graph": "ir", "loops": "kernels.ir", "onnx": "interop.onnx", "reporting": "report",
    "seeing": "viz",
}  # fmt: skip
"""Old names below `opsin`, and the new ones."""

MODULES = {
    "training.choose": "planning.autoconfig",
    "training.facts": "planning.dataset_summary",
    "training.networks": "planning.networks",
    "training.wishes": "planning.options",
}
"""Old names of modules in packages that remain, and the new ones."""

PUBLIC = {"errors", "onnx"}
"""Old names that remain public, without a warning."""

NAMES = {
    "opsin.data": {"Pictures": "opsin.data.LabeledImages"},
    "opsin.planning.dataset_summary": {"Facts": "opsin.planning.dataset_summary.DatasetSummary"},
    "opsin.planning.networks": {"outline": "opsin.planning.networks.choose_network"},
    "opsin.planning.options": {"Wishes": "opsin.planning.options.TrainOptions"},
    "opsin.training": {
        "Plan": "opsin.training.TrainingPlan",
        "Run": "opsin.runs.Run",
        "Training": "opsin.training.Trainer",
        "resume": "opsin.runs.resume",
        "train": "opsin.runs.train",
    },
}
"""Names in packages, and the new ones."""


def renamed_names(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that finds its old names, each with a DeprecationWarning."""

    def find(name: str) -> Any:
        if name not in NAMES[package]:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        new = NAMES[package][name]
        text = f"{package}.{name} is now {new}; the old name goes with the next release"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        module, _, attribute = new.rpartition(".")
        return getattr(import_module(module), attribute)

    return find


class _AliasLoader(Loader):
    """Gives the module of another name."""

    def __init__(self, name: str, actual: str) -> None:
        self.name, self.actual = name, actual

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        old = self.name.split(".")[1]
        if old not in PUBLIC:
            text = f"{self.name} is now {self.actual}; the old name goes with the next release"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        module = import_module(self.actual)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed again; the module keeps its own spec, which the import system replaced."""
        module.__spec__ = self.spec
        sys.modules[self.name] = module


class _AliasFinder:
    """Finds modules under their old names."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        old = name.removeprefix("opsin.")
        first, _, rest = old.partition(".")
        if not name.startswith("opsin.") or (first not in PACKAGES and old not in MODULES):
            return None
        new = MODULES.get(old) or PACKAGES[first] + (f".{rest}" if rest else "")
        actual = f"opsin.{new}"
        return ModuleSpec(name, _AliasLoader(name, actual))


def install() -> None:
    """Let Python's import system know the old names."""
    # First, because the usual finders would load modules of a renamed package a second time.
    sys.meta_path.insert(0, _AliasFinder())
