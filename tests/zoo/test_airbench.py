"""Airbench networks: their parameters, their logits against PyTorch, and the image sizes they take."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.base.errors import ShapeError
from tests.support import relative_error
from tests.zoo.drawn import drawn_run

WIDTHS = {"airbench94": (64, 256, 256), "airbench95": (128, 384, 384)}
UNITS = {"airbench94": 2, "airbench95": 3}


@pytest.mark.parametrize("name", WIDTHS)
def test_trainable_parameters_are_convolutions_biases_and_the_last_layer(name: str) -> None:
    graph = nn.trace(zoo.create(name), (3, 32, 32))
    widths, units = WIDTHS[name], UNITS[name]
    convolutions = sum(
        9 * new * old + (units - 1) * 9 * new * new for old, new in zip((24, *widths), widths, strict=False)
    )
    learnt = convolutions + units * sum(widths) + 10 * widths[-1]
    assert sum(int(np.prod(tensor.shape)) for tensor in graph.parameters.values()) == learnt
    assert graph.variables["whiten.weight"].shape == (24, 3, 2, 2)
    assert "whiten.weight" not in graph.parameters


@pytest.mark.parametrize("name", WIDTHS)
def test_logits_match_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    state, x, logits = drawn_run(zoo.create(name), name)
    f, w = torch.nn.functional, {key: torch.from_numpy(value) for key, value in state.items()}

    def unit(a, path, halving):  # type: ignore[no-untyped-def]
        a = f.conv2d(a, w[f"{path}.conv.weight"], padding=1)
        a = f.max_pool2d(a, 2) if halving else a
        norm = [w[f"{path}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return f.gelu(f.batch_norm(a, *norm))

    a = f.gelu(f.conv2d(torch.from_numpy(x), w["whiten.weight"]))
    for number in range(3):
        a = kept = unit(a, f"blocks.{number}.first", True)
        a = unit(a, f"blocks.{number}.second", False)
        if UNITS[name] == 3:
            a = unit(a, f"blocks.{number}.third", False) + kept
    expected = f.linear(f.max_pool2d(a, 3).flatten(1), w["fc.weight"]) / 9
    assert relative_error(logits, expected.numpy()) < 1e-12


def test_images_may_have_any_size_from_9_on() -> None:
    for shape in ((1, 9, 9), (3, 10, 50)):
        assert nn.trace(zoo.airbench94(7), shape).outputs["logits"].shape[1:] == (7,)
    with pytest.raises(ShapeError, match="this network takes 9 × 9 and larger ones, and was given 8 × 32"):
        nn.trace(zoo.airbench94(), (3, 8, 32))
