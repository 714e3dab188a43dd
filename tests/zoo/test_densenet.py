"""DenseNet; `test_torchvision` compares its results."""

from __future__ import annotations

from math import sqrt

import pytest

from opsin import nn, zoo
from opsin.base.errors import ShapeError


def test_the_size_matches_the_paper() -> None:
    table = nn.describe(nn.trace(zoo.densenet121(), (3, 224, 224)))
    assert (table.parameters, round(table.macs / 1e6)) == (7_978_856, 2_834)
    assert sum(row.macs > 0 for row in table.rows) == 121


def test_blocks_and_transitions_match_the_paper() -> None:
    rows = {row.path: row for row in nn.describe(nn.trace(zoo.densenet121(), (3, 224, 224))).rows}
    for block, (depth, begin, size) in enumerate(((6, 64, 56), (12, 128, 28), (24, 256, 14), (16, 512, 7)), start=1):
        path = f"features.denseblock{block}.denselayer{depth}"
        assert rows[path].output[1:] == (begin + 32 * depth, size, size)
        if block < 4:
            assert rows[f"features.transition{block}.conv"].output[1:] == ((begin + 32 * depth) // 2, size, size)


def test_images_that_are_too_small_are_errors() -> None:
    nn.trace(zoo.densenet121(), (3, 29, 29))
    with pytest.raises(
        ShapeError, match=r"layer features\.transition3\.pool: .* takes 29 × 29 and larger ones, and was given 28 × 28"
    ):
        nn.trace(zoo.densenet121(), (3, 28, 28))


def test_initial_values_match_torchvision() -> None:
    first = {name: t.node.attrs["init"] for name, t in nn.trace(zoo.densenet121(), (3, 32, 32)).variables.items()}
    assert first["features.conv0.weight"] == ("normal", pytest.approx(sqrt(2 / (3 * 49))))
    assert first["classifier.bias"] == ("constant", 0)
    assert first["classifier.weight"] == ("uniform", pytest.approx(1 / sqrt(1024)))
