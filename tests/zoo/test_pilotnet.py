"""PilotNet: the sizes in the paper, its results against PyTorch, and the images it takes."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from tests.support import generator, relative_error


def test_sizes_match_the_paper() -> None:
    table = nn.describe(nn.trace(zoo.pilotnet(), (3, 66, 200)))
    assert round(table.parameters, -4) == 250_000
    assert round(table.macs / 1e6) == 27
    maps = [row.output[1:] for row in table.rows if row.path.startswith("features.") and row.macs]
    assert maps == [(24, 31, 98), (36, 14, 47), (48, 5, 22), (64, 3, 20), (64, 1, 18)]


def test_numbers_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    graph, rng = nn.trace(zoo.pilotnet(2), (3, 80, 160)), generator("pilotnet")
    state = {
        name: value if value.ndim > 1 else rng.uniform(-0.1, 0.1, value.shape)
        for name, value in nn.initial_state(graph, 1).items()
    }
    x = rng.normal(size=(2, 3, 80, 160))
    program = Reference(graph, 2, np.float64)
    program.load_state(state)
    w = {name: torch.from_numpy(value.astype(np.float64)) for name, value in state.items()}
    a = torch.from_numpy(x)
    for place, stride in enumerate((2, 2, 2, 1, 1)):
        path = f"features.{2 * place}"
        a = torch.relu(torch.nn.functional.conv2d(a, w[f"{path}.weight"], w[f"{path}.bias"], stride))
    a = a.flatten(1)
    for place in (1, 3, 5, 7):
        a = torch.nn.functional.linear(torch.relu(a), w[f"regressor.{place}.weight"], w[f"regressor.{place}.bias"])
    assert a.shape == (2, 2)
    assert relative_error(program.run(inputs=x)["logits"], a.numpy()) < 1e-12


def test_other_images_change_only_the_first_linear_layer() -> None:
    small, large = (nn.trace(zoo.pilotnet(), shape).parameters for shape in ((3, 66, 200), (3, 80, 160)))
    changed = {name for name, tensor in large.items() if tensor.shape != small[name].shape}
    assert changed == {"regressor.1.weight"}
    assert large["regressor.1.weight"].shape == (100, 2496)


def test_images_that_are_too_small_are_errors() -> None:
    nn.trace(zoo.pilotnet(), (1, 61, 61))
    with pytest.raises(ShapeError, match=r"takes 61 × 61 and larger ones, and was given 60 × 200"):
        nn.trace(zoo.pilotnet(), (1, 60, 200))
