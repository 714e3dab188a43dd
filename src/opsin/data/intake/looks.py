"""How a picture looks from afar, in a few hundred bytes: enough to know it again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 16, 18
LOOK = HEIGHT * WIDTH + 3
"""Bytes of a look: a grey thumbnail, then the mean of red, green and blue."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The shares of red, green and blue in grey: ITU-R BT.601."""


def look(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """The look of uint8 C×H×W with one channel or three, and whether its channels are all the same."""
    channels = len(pixels)
    small = np.stack([_shrunk(plane) for plane in np.ascontiguousarray(pixels)])
    thumbnails = np.broadcast_to(small.reshape(channels, HEIGHT * WIDTH), (3, HEIGHT * WIDTH))
    found = np.empty(LOOK, np.uint8)
    found[:-3] = np.rint(LUMA @ thumbnails)
    found[-3:] = np.rint(thumbnails.mean(axis=1))
    colourless = channels == 1 or bool((thumbnails == thumbnails[0]).all() and (pixels == pixels[:1]).all())
    return found, colourless


def _shrunk(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Uint8 H×W as a thumbnail: first by whole factors, which is quick, then the rest."""
    image = Image.frombuffer("L", plane.shape[::-1], plane, "raw", "L", 0, 1)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX, reducing_gap=1.0))


def looks(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The looks of uint8 N×C×H×W, N×`LOOK`, many at a time; `look`'s up to how edges are shared."""
    count, channels, height, width = pixels.shape
    down, across = _box(HEIGHT, height), _box(WIDTH, width).T
    found = np.empty((count, LOOK), np.uint8)
    for first in range(0, count, 1024):
        some = (down @ pixels[first : first + 1024].astype(np.float32) @ across).reshape(-1, channels, HEIGHT * WIDTH)
        thumbnails = np.broadcast_to(some, (len(some), 3, HEIGHT * WIDTH))
        found[first : first + 1024, :-3] = np.rint(np.einsum("c,ncp->np", LUMA, thumbnails))
        found[first : first + 1024, -3:] = np.rint(thumbnails.mean(axis=2))
    return found


def _box(cells: int, side: int) -> NDArray[np.float32]:
    """The matrix that averages `side` pixels into `cells` of equal width."""
    edges = np.linspace(0, side, cells + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    shares: NDArray[np.float32] = (np.maximum(overlap, 0) * (cells / side)).astype(np.float32)
    return shares
