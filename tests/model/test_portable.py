"""`portable` models compute an image at a time, with the bits of exported programs."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.backends.portable import compile
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.model import Model

SHAPE = 3, 12, 12


@pytest.fixture
def model() -> Model:
    network = nn.Sequential(nn.Conv2d(24, 3), nn.ReLU(), nn.Conv2d(8, 3), nn.Flatten(), nn.Linear(4))
    graph = nn.trace(network, SHAPE)
    preprocessing = Preprocessing(*SHAPE, (0.4,) * 3, (0.2,) * 3)
    return Model(
        "small", graph, nn.initial_state(graph, 2), preprocessing, ("a", "b", "c", "d"), nn.layer_kinds(network)
    )


def test_every_image_has_the_bits_of_a_program_for_one(model: Model) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (70, *SHAPE), dtype=np.uint8)
    model.portable = True
    found = model.logits(pixels)
    engine = compile(model.graph, 1, 1)
    engine.load_state(model.state)
    inputs = model.preprocessing.apply(pixels)
    expected = np.concatenate([engine.run(inputs=inputs[i : i + 1])["logits"] for i in range(len(pixels))])
    assert found.tobytes() == expected.tobytes()


def test_other_results_stay_as_they_were(model: Model) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    usual = model.logits(pixels)
    model.portable = True
    np.testing.assert_allclose(model.logits(pixels), usual, rtol=1e-4, atol=1e-5)
    model.portable = False
    assert model.logits(pixels).tobytes() == usual.tobytes()


def test_8_bit_integers_have_the_bits_of_every_engine(model: Model) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (70, *SHAPE), dtype=np.uint8)
    model.quantize(pixels)
    model.precision = "int8"
    usual = model.logits(pixels)
    model.portable = True
    assert model.logits(pixels).tobytes() == usual.tobytes()
    model.precision = "float32"
    assert not np.array_equal(model.logits(pixels), usual)


def test_bfloat16_is_refused(model: Model) -> None:
    model.portable = True
    with pytest.raises(UsageError, match="portable engine cannot compute in another precision"):
        model.predict(np.zeros((1, *SHAPE), np.uint8), precision="bf16")
