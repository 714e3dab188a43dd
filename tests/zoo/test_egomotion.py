"""The network for movement: it measures shifts, learns from them, and refuses what it cannot take."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from opsin.zoo.egomotion import EDGES, FRAMES, Displacements
from tests.data.films import MAX_SHIFT
from tests.support import generator, relative_error


class OnlyDisplacements(nn.Layer):
    def __init__(self) -> None:
        self.displacements = Displacements()

    def forward(self, x: Tensor) -> Tensor:
        return self.displacements(x)


@pytest.mark.parametrize("shift", range(-MAX_SHIFT, MAX_SHIFT + 1))
def test_shifts_are_measured(shift: int) -> None:
    rng = generator("shift", str(shift))
    wide = rng.normal(size=(EDGES, 10, 80 + (FRAMES - 1) * abs(shift)))
    starts = [(FRAMES - 1 - frame) * shift + (FRAMES - 1) * max(0, -shift) for frame in range(FRAMES)]
    maps = np.concatenate([wide[:, :, start : start + 80] for start in starts])
    graph = nn.trace(OnlyDisplacements(), maps.shape)
    program = Reference(graph, 1, np.float64)
    program.load_state(nn.initial_state(graph, 0))
    found = program.run(inputs=maps[None])["logits"]
    assert found.shape == (1, 15) and np.abs(found - shift).max() < 0.1


def test_it_works_as_described() -> None:
    graph = nn.trace(zoo.egomotion(), (12, 80, 80))
    assert nn.describe(graph).parameters == 557
    assert zoo.frames("egomotion") == FRAMES and zoo.frames("lenet5") == zoo.frames("my own") == 1


def test_native_numbers_match_the_reference() -> None:
    graph, rng = nn.trace(zoo.egomotion(2), (12, 51, 67)), generator("egomotion")
    state, x = nn.initial_state(graph, 3), rng.normal(size=(3, 12, 51, 67)).astype(np.float32)
    reference, native = Reference(graph, 3, np.float64), compile_native(graph, 3, 2)
    for program in (reference, native):
        program.load_state(state)
    exact, fast = (program.run(inputs=x)["logits"] for program in (reference, native))
    assert relative_error(fast, exact) < 1e-4


@pytest.mark.parametrize(
    ("shape", "message"),
    [((6, 80, 80), "4 frames have a multiple of 4 channels, not 6"),
     ((12, 40, 80), "takes 48 × 48 and larger images, not 40 × 80")],
)  # fmt: skip
def test_what_it_does_not_take(shape: tuple[int, int, int], message: str) -> None:
    nn.trace(zoo.egomotion(), (4, 48, 48))
    with pytest.raises(ShapeError, match=message):
        nn.trace(zoo.egomotion(), shape)
