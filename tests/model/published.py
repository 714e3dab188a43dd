"""A network of the zoo with published weights on a local server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import nn
from opsin.zoo import registry, weights
from opsin.zoo.weights import Preparation, Weights
from tests.model.checkpoints import write_state
from tests.model.server import Site, serving

PREPARATION = Preparation(8, 10, "bicubic", (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
RENAMES = ((r"^_fc\.", "head."),)


def tiny(classes: int) -> nn.Layer:
    return nn.Sequential(
        ("conv", nn.Conv2d(4, 3, stride=2)), ("norm", nn.BatchNorm2d()), ("flat", nn.Flatten()),
        ("head", nn.Linear(classes)),
    )  # fmt: skip


def published_state() -> dict[str, NDArray[np.float32]]:
    """Return its weights; the name of one layer differs from the network's."""
    graph = nn.trace(tiny(1000), (3, 8, 8))
    return {name.replace("head", "_fc"): array for name, array in nn.initial_state(graph, 5).items()}


@contextmanager
def published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Add the network `tiny` to the zoo and its weights to the server; the cache is empty."""
    monkeypatch.setenv("OPSIN_CACHE", str(folder / "cache"))
    content = write_state(folder / "tiny.pth", published_state()).read_bytes()
    with serving() as site:
        monkeypatch.setenv("OPSIN_MIRROR", site.address)
        monkeypatch.setitem(registry._entries, "tiny", registry.Entry("tiny", tiny, (3, 8, 8), 1000))
        monkeypatch.setitem(weights.WEIGHTS, "tiny", Weights(site.add(content), PREPARATION, RENAMES))
        yield site
