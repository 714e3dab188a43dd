"""Opsin: convolutional networks for the computer you have.

    import opsin

    digits = opsin.data.load("digits")
    model = opsin.train("lenet5", digits)
    print(model.evaluate(digits.test))
    model.save("digits.opsin")

The names below are imported on first use: `import opsin` alone loads nothing heavy.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opsin import _aliases

if TYPE_CHECKING:
    from opsin import (
        backends,
        base,
        data,
        explain,
        faces,
        interop,
        ir,
        model,
        nn,
        ops,
        planning,
        report,
        runs,
        training,
        viz,
        zoo,
    )
    from opsin.apps.estimator import ImageClassifier, ImageRegressor
    from opsin.base import errors
    from opsin.base.errors import OpsinError
    from opsin.exploration.api import explore
    from opsin.exploration.similar import similar
    from opsin.export.api import ship
    from opsin.inspection.api import see
    from opsin.interop import onnx
    from opsin.model import Model, load
    from opsin.model.embedding_import import import_embedding
    from opsin.model.onnx_import import import_onnx
    from opsin.model.pretrained import pretrained
    from opsin.runs.api import train
    from opsin.runs.autotrain import autotrain

__version__ = "0.1.0"

_MODULES = {
    "backends": "backends", "base": "base", "data": "data", "errors": "base.errors", "explain": "explain",
    "faces": "faces", "interop": "interop", "ir": "ir", "model": "model", "nn": "nn", "onnx": "interop.onnx",
    "ops": "ops", "planning": "planning", "report": "report", "runs": "runs", "training": "training", "viz": "viz",
    "zoo": "zoo",
}  # fmt: skip
_NAMES = {
    "ImageClassifier": "apps.estimator", "ImageRegressor": "apps.estimator", "Model": "model",
    "OpsinError": "base.errors", "autotrain": "runs.autotrain", "explore": "exploration.api",
    "import_embedding": "model.embedding_import", "import_onnx": "model.onnx_import", "load": "model",
    "pretrained": "model.pretrained", "see": "inspection.api", "ship": "export.api", "similar": "exploration.similar",
    "train": "runs.api",
}  # fmt: skip

__all__ = [
    "ImageClassifier", "ImageRegressor", "Model", "OpsinError", "autotrain", "backends", "base", "data", "errors",
    "explain", "explore", "faces", "import_embedding", "import_onnx", "interop", "ir", "load", "model", "nn", "onnx",
    "ops", "planning", "pretrained", "report", "runs", "see", "ship", "similar", "train", "training", "viz", "zoo",
]  # fmt: skip

_aliases.install()


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _NAMES and name not in _aliases.PACKAGES:
        raise AttributeError(f"module 'opsin' has no attribute '{name}'")
    if _within_import():  # An import in progress must not wait: a thread that holds the lock may wait for it.
        return _resolve(name)
    with import_module("opsin.base.concurrency").importing.lock:
        return _resolve(name)


def _resolve(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"opsin.{_NAMES[name]}"), name)
    return import_module(f"opsin.{_MODULES.get(name, name)}")


def _within_import() -> bool:
    """Whether this thread is importing one of Opsin's modules already."""
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
        if frame.f_code.co_name == "<module>" and str(frame.f_globals.get("__name__")).startswith("opsin."):
            return True
    return False


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
