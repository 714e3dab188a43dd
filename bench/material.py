"""Images, and weights as training leaves them, for scripts that measure what depends on values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.backends.native import compile
from opsin.data import Dataset
from opsin.data.decode.read import read_pixels
from opsin.data.sources import open_source
from opsin.ir import Graph

Array = NDArray[Any]


def images(path: str | None, count: int, shape: nn.ImageShape) -> tuple[Array, Array]:
    """(images N C H W with mean 0 and deviation 1 in each channel, labels N): `count` from all of a source.

    Without `path` the built-in digits are enlarged.
    """
    source = open_source(path or "digits")
    if isinstance(source, Dataset):
        numbers = np.linspace(0, len(source.train.labels) - 1, count).astype(int)
        small, labels = source.train.pixels[numbers], source.train.labels[numbers]
        rows, columns = (np.arange(side) * size // side for side, size in zip(shape[1:], small.shape[2:], strict=True))
        pixels = np.broadcast_to(small, (count, shape[0], *small.shape[2:]))[:, :, rows][:, :, :, columns]
    else:
        items = [(number, item) for number, item in enumerate(source.items) if item.part in ("", "train")]
        chosen = [items[place] for place in np.linspace(0, len(items) - 1, count).astype(int)]
        pixels = np.stack([read_pixels(source.read(n), item.name, shape) for n, item in chosen])
        classes = sorted({item.label for item in source.items})
        labels = np.array([classes.index(item.label) for _, item in chosen])
    values = pixels.astype(np.float32)
    return (values - values.mean((0, 2, 3), keepdims=True)) / (values.std((0, 2, 3), keepdims=True) + 1), labels


def trained_state(graph: Graph, path: str | None, shape: nn.ImageShape, steps: int, threads: int) -> dict[str, Array]:
    """The values of `graph`, a training step by SGD, after some steps on images of `shape`, and without Winograd."""
    batch = max(8, min(128, 2**17 // (shape[1] * shape[2])))
    x, labels = images(path, min(4096, batch * steps), shape)
    program, rng = compile(graph, batch, threads, winograd=False), np.random.default_rng(0)
    program.load_state(nn.initial_state(graph, seed=0))
    for step in range(steps):
        chosen = rng.integers(0, len(x), batch)
        program.run(inputs=x[chosen], labels=labels[chosen], learning_rate=0.05 * (1 - step / steps))
    return dict(program.state())
