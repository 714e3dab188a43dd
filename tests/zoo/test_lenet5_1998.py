"""LeNet-5 of 1998: the paper's parameters, its connections, and its layers against the paper's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.zoo.lenet5_1998 import CONNECTIONS
from tests.support import generator, relative_error


def test_the_parameters_match_the_paper() -> None:
    network = zoo.lenet5_1998()
    table = nn.describe(nn.trace(network), nn.layer_kinds(network))
    counts = {row.path: row.parameters for row in table.rows if row.parameters}
    unread = 25 * (16 * 6 - sum(map(len, CONNECTIONS)))
    counts["c3"] -= unread
    assert unread == 900
    assert counts.pop("output") == 850
    assert counts == {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert sum(counts.values()) == 60_000


def test_the_connections_match_the_paper() -> None:
    # Columns of the paper's table I: which maps of C3 read each map of S2.
    columns = ["".join("X" if channel in row else "." for row in CONNECTIONS) for channel in range(6)]
    assert columns == [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]


def test_the_output_computes_the_formulas_of_the_paper() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    graph = nn.trace(zoo.lenet5_1998())
    rng = generator("lenet5_1998")
    state = nn.initial_state(graph, 3)
    state |= {name: rng.normal(1, 0.5, state[name].shape) for name in state if name.startswith(("s2", "s4"))}
    x = rng.normal(0, 1, (3, 1, 28, 28))
    program = Reference(graph, 3, np.float64)
    program.load_state(state)

    w = {name: torch.from_numpy(value).double() for name, value in state.items()}
    conv2d, pad = torch.nn.functional.conv2d, torch.nn.functional.pad

    def squash(a):  # type: ignore[no-untyped-def]
        return 1.7159 * torch.tanh(2 / 3 * a)

    def subsample(a, name):  # type: ignore[no-untyped-def]
        total = a[:, :, ::2, ::2] + a[:, :, 1::2, ::2] + a[:, :, ::2, 1::2] + a[:, :, 1::2, 1::2]
        return squash(total * w[f"{name}.weight"][:, None, None] / 4 + w[f"{name}.bias"][:, None, None])

    s2 = subsample(squash(conv2d(pad(torch.from_numpy(x), (2, 2, 2, 2)), w["c1.weight"], w["c1.bias"])), "s2")
    maps = [
        conv2d(s2[:, list(row)], w["c3.weight"][[i]][:, list(row)], w["c3.bias"][[i]])
        for i, row in enumerate(CONNECTIONS)
    ]
    s4 = subsample(squash(torch.cat(maps, 1)), "s4")
    c5 = squash(conv2d(s4, w["c5.weight"], w["c5.bias"]))[:, :, 0, 0]
    f6 = squash(c5 @ w["f6.weight"].T + w["f6.bias"])
    expected = f6 @ w["output.weight"].T + w["output.bias"]
    assert relative_error(program.run(inputs=x)["logits"], expected.numpy()) < 1e-12


def test_weights_without_a_connection_are_not_trained() -> None:
    graph = nn.training_graph(zoo.lenet5_1998(), (1, 28, 28), nn.optimizers.SGD())
    program = Reference(graph, 4, np.float64)
    program.load_state(nn.initial_state(graph, 0))
    before, rng = program.state(), generator("unread")
    for _ in range(2):
        program.run(inputs=rng.random((4, 1, 28, 28)), labels=[3, 1, 4, 1], learning_rate=0.1)
    moved = (program.state()["c3.weight"] != before["c3.weight"]).any((2, 3))
    assert np.array_equal(moved, before["c3.table"][:, :, 0, 0] == 1)
    assert np.array_equal(program.state()["c3.table"], before["c3.table"])
