"""The pointing game (Zhang et al. 2018): the map's peak has to lie on the thing that the answer depends on.

Images hold one of four signs and five distractors, which occur with every sign, at random places.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn
from opsin.data import Dataset, LabeledImages
from opsin.explain import Explainer
from opsin.explain.attribution.registry import DEFAULT_METHOD
from opsin.model import Model

SIDE, CELL, MARGIN = 36, 12, 8
SIGNS = {
    "cross": ("#......#", ".#....#.", "..#..#..", "...##...", "...##...", "..#..#..", ".#....#.", "#......#"),
    "box": ("########", "#......#", "#......#", "#......#", "#......#", "#......#", "#......#", "########"),
    "plus": ("...##...", "...##...", "...##...", "########", "########", "...##...", "...##...", "...##..."),
    "steps": ("##......", "##......", "####....", "####....", "######..", "######..", "########", "########"),
}
SHAPES = {name: np.array([[mark == "#" for mark in row] for row in rows]) for name, rows in SIGNS.items()}
REQUIRED_SHARE = 0.95


def distractor(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Bars, or a filled square: nothing that a sign has."""
    shape = np.zeros((8, 8), bool)
    kind, start = rng.integers(3), int(rng.integers(1, 4))
    if kind == 0:
        shape[start : start + 2] = True
    elif kind == 1:
        shape[:, start : start + 2] = True
    else:
        shape[start : start + 4, start : start + 4] = True
    return shape


def scenes(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.intp]]:
    """Images N × 1 × 36 × 36, the number of the sign, and the row and column of its cell's corner."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 40, (count, 1, SIDE, SIDE), dtype=np.uint8)
    labels, corners = np.empty(count, np.int32), np.empty((count, 2), np.intp)
    for n in range(count):
        cells = rng.permutation(9)[:6]
        labels[n] = rng.integers(len(SHAPES))
        shapes = [list(SHAPES.values())[labels[n]], *(distractor(rng) for _ in range(5))]
        for cell, shape in zip(cells, shapes, strict=True):
            row, column = CELL * (cell // 3) + rng.integers(0, 5), CELL * (cell % 3) + rng.integers(0, 5)
            pixels[n, 0, row : row + 8, column : column + 8][shape] = rng.integers(150, 256)
            if shape is shapes[0]:
                corners[n] = row, column
    return pixels, labels, corners


@pytest.fixture(scope="module")
def model() -> Model:
    pixels, labels, _ = scenes(1800, 1)
    network = nn.Sequential(
        ("conv1", nn.Conv2d(12, 3, padding=1)), ("norm1", nn.BatchNorm2d()), ("act1", nn.ReLU()),
        ("conv2", nn.Conv2d(16, 3, padding=1)), ("norm2", nn.BatchNorm2d()), ("act2", nn.ReLU()),
        ("pool2", nn.MaxPool2d(2)), ("conv3", nn.Conv2d(24, 3, padding=1)), ("norm3", nn.BatchNorm2d()),
        ("act3", nn.ReLU()), ("pool", nn.GlobalMaxPool2d()), ("flat", nn.Flatten()), ("fc", nn.Linear(len(SHAPES))),
    )  # fmt: skip
    data = Dataset("signs", LabeledImages(pixels, labels, tuple(SHAPES)), None, predefined_split=True)
    return opsin.train(network, data, epochs=5, seed=0)


@pytest.mark.parametrize("method", sorted({DEFAULT_METHOD, "hires-cam", "layer-cam"}))
def test_the_peak_lies_on_the_sign(model: Model, method: str) -> None:
    pixels, labels, corners = scenes(120, 2)
    explainer = Explainer(model)
    scores = [each[0] for each in explainer.scores(pixels)]
    right = np.array([model.labels.index(score.label) for score in scores]) == labels
    assert right.mean() >= REQUIRED_SHARE
    hits = []
    for result, corner, is_right in zip(
        explainer.explain(pixels, scores, [method])[method], corners, right, strict=True
    ):
        if is_right:
            place = np.array(result.peak) - corner
            hits.append(bool((place >= -2).all() and (place < MARGIN + 2).all()))
    assert np.mean(hits) >= REQUIRED_SHARE
