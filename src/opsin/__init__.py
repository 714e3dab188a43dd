"""Opsin: convolutional networks for the computer you have.

    import opsin

    digits = opsin.data.load("digits")
    model = opsin.train("lenet5", digits)
    print(model.evaluate(digits.test))
    model.save("digits.opsin")

The names below are imported when they are first used: `import opsin` alone loads nothing heavy.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsin import data, engines, errors, graph, model, nn, onnx, ops, seeing, training, zoo
    from opsin.errors import OpsinError
    from opsin.estimator import ImageClassifier
    from opsin.model import Model, load
    from opsin.model.imported import import_onnx
    from opsin.model.published import pretrained
    from opsin.training import train

__version__ = "0.1.0"

_ROOMS = ("data", "engines", "errors", "graph", "model", "nn", "onnx", "ops", "seeing", "training", "zoo")
_NAMES = {
    "ImageClassifier": "estimator", "Model": "model", "OpsinError": "errors", "import_onnx": "model.imported",
    "load": "model", "pretrained": "model.published", "train": "training",
}  # fmt: skip

__all__ = [
    "ImageClassifier", "Model", "OpsinError", "data", "engines", "errors", "graph", "import_onnx", "load", "model",
    "nn", "onnx", "ops", "pretrained", "seeing", "train", "training", "zoo",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOMS and name not in _NAMES:
        raise AttributeError(f"module 'opsin' has no attribute '{name}'")
    if _within_import():  # what is imported there waits for nobody: who holds the lock may wait for that
        return _found(name)
    with import_module("opsin.concurrency").importing.lock:
        return _found(name)


def _found(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"opsin.{name}")
    return getattr(import_module(f"opsin.{_NAMES[name]}"), name)


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
