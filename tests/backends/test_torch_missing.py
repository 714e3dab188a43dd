"""Without PyTorch, the engine that needs it says what to install."""

from __future__ import annotations

import importlib
import sys

import pytest


def test_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "opsin.backends.torch", raising=False)
    with pytest.raises(ImportError, match=r"needs PyTorch; install it with: pip install 'opsin\[torch\]'"):
        importlib.import_module("opsin.backends.torch")
