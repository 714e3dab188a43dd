"""Optimizers against PyTorch's, step by step in double precision, and their graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.ir import Graph
from opsin.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from tests.nn.support import loaded
from tests.support import relative_error

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

SHAPE = (2, 3, 4)
STEPS = 14

PAIRS: dict[str, tuple[Optimizer, Callable[[Any, Any], Any]]] = {
    "sgd": (SGD(), lambda t, p: t.SGD(p, 0.1)),
    "sgd, decay": (SGD(weight_decay=0.05), lambda t, p: t.SGD(p, 0.1, weight_decay=0.05)),
    "sgd, momentum": (SGD(0.9), lambda t, p: t.SGD(p, 0.1, momentum=0.9)),
    "sgd, nesterov": (
        SGD(0.8, True, weight_decay=0.01),
        lambda t, p: t.SGD(p, 0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    ),
    "adam": (Adam(), lambda t, p: t.Adam(p, 0.1)),
    "adam, all set": (
        Adam((0.8, 0.95), 1e-3, weight_decay=0.1),
        lambda t, p: t.Adam(p, 0.1, (0.8, 0.95), 1e-3, weight_decay=0.1),
    ),
    "adamw": (AdamW(), lambda t, p: t.AdamW(p, 0.1)),
    "adamw, decay": (AdamW(weight_decay=0.3), lambda t, p: t.AdamW(p, 0.1, weight_decay=0.3)),
    "adamw, no decay": (AdamW(weight_decay=0.0), lambda t, p: t.AdamW(p, 0.1, weight_decay=0.0)),
    "adagrad": (Adagrad(), lambda t, p: t.Adagrad(p, 0.1)),
    "adagrad, decay": (Adagrad(1e-2, weight_decay=0.1), lambda t, p: t.Adagrad(p, 0.1, eps=1e-2, weight_decay=0.1)),
    "rmsprop": (RMSprop(), lambda t, p: t.RMSprop(p, 0.1)),
    "rmsprop, all set": (
        RMSprop(0.9, 1e-4, 0.7, weight_decay=0.02),
        lambda t, p: t.RMSprop(p, 0.1, alpha=0.9, eps=1e-4, momentum=0.7, weight_decay=0.02),
    ),
}


def network() -> nn.Layer:
    return nn.Sequential(nn.Flatten(), nn.Linear(6), nn.Tanh(), nn.Linear(5))


def graph_of(optimizer: Optimizer) -> Graph:
    return nn.training_graph(network(), SHAPE, optimizer)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed; it is an optional extra")
@pytest.mark.parametrize("clip", [None, 0.05, 1.0, 1e3])
@pytest.mark.parametrize("case", PAIRS)
def test_steps_match_pytorch(case: str, clip: float | None, rng: np.random.Generator) -> None:
    ours, theirs = PAIRS[case]
    program = loaded(graph_of(replace(ours, clip_norm=clip)), 8)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(24, 6), torch.nn.Tanh(), torch.nn.Linear(6, 5)
    ).double()
    module.load_state_dict({name: torch.from_numpy(program.state()[name]) for name in module.state_dict()})
    optimizer = theirs(torch.optim, module.parameters())
    for step in range(STEPS):
        x, labels, rate = 2 * rng.standard_normal((8, *SHAPE)), rng.integers(0, 5, 8, np.int32), 0.1 / (1 + step)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(x)), torch.from_numpy(labels).long())
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        assert program.run(inputs=x, labels=labels, learning_rate=rate)["loss"] == pytest.approx(loss.item(), 1e-9)
        for name, expected in module.state_dict().items():
            assert relative_error(program.state()[name], expected.numpy()) < 1e-9, (name, step)


SLOTS: dict[str, tuple[Optimizer, set[str], set[str]]] = {
    "sgd": (SGD(), set(), set()),
    "momentum": (SGD(0.9), {"momentum"}, set()),
    "adam": (Adam(), {"exp_avg", "exp_avg_sq"}, {"bias_correction1", "bias_correction2"}),
    "adagrad": (Adagrad(), {"sum"}, set()),
    "rmsprop": (RMSprop(momentum=0.5), {"square_avg", "momentum"}, set()),
}


@pytest.mark.parametrize("case", SLOTS)
def test_state_corresponds_to_its_parameter(case: str) -> None:
    optimizer, slots, scalars = SLOTS[case]
    graph = graph_of(optimizer)
    expected = {f"optimizer.{name}.{slot}": name for name in graph.parameters for slot in slots}
    memory = {name: t for name, t in graph.variables.items() if name.startswith("optimizer.")}
    assert set(memory) == set(expected) | {f"optimizer.{name}" for name in scalars}
    for name, parameter in expected.items():
        assert memory[name].node.attrs["like"] == parameter
        assert memory[name].shape == graph.parameters[parameter].shape
    assert set(graph.updates) == set(memory) | set(graph.parameters)
    assert not any(t.node.attrs["trainable"] for t in memory.values())


def test_common_terms_are_computed_once() -> None:
    graph = graph_of(AdamW(clip_norm=1.0))
    scalars = [n for n in graph.nodes if n.op.name == "divide" and n.scope == "optimizer" and n.output.shape == ()]
    assert len(scalars) == 2  # the step's size, and the clipping's factor


def test_float32_corrects_the_bias_of_the_first_step() -> None:
    # 1 - 0.999 in single precision is wrong in its fifth digit; the first step must be the learning rate all the same.
    graph = graph_of(Adam(eps=1e-30))
    from_zero = nn.initial_state(graph, 0)
    program = Reference(graph, 4, np.float32)
    program.load_state(from_zero)
    x = np.random.default_rng(0).standard_normal((4, *SHAPE))
    program.run(inputs=x, labels=[0, 1, 2, 3], learning_rate=1.0)
    moved = np.abs(program.state()["3.bias"] - from_zero["3.bias"])
    assert moved == pytest.approx(np.ones(5), rel=2e-6)


def test_invalid_numbers_are_errors() -> None:
    with pytest.raises(UsageError, match=r"momentum is at least 0 and below 1, not 1\.0"):
        SGD(1.0)
    with pytest.raises(UsageError, match=r"SGD: Nesterov's rule needs a momentum; give one, such as 0\.9"):
        SGD(nesterov=True)
    with pytest.raises(UsageError, match=r"beta is at least 0 and below 1, not 1\.1"):
        Adam((0.9, 1.1))
    with pytest.raises(UsageError, match=r"a weight decay is at least 0, not -0\.1"):
        AdamW(weight_decay=-0.1)
    with pytest.raises(UsageError, match="the norm to clip gradients to is above 0, not 0"):
        RMSprop(clip_norm=0)
    with pytest.raises(UsageError, match="alpha is at least 0 and below 1, not 2"):
        RMSprop(alpha=2)


def test_parameters_may_have_their_own_learning_rates(rng: np.random.Generator) -> None:
    """16 times as far, but decayed as the others are."""
    x, labels, rate = rng.standard_normal((8, *SHAPE)), rng.integers(0, 5, 8, np.int32), 0.1
    before, after = {}, {}
    for name, optimizer in {"plain": SGD(), "own": SGD(0.9, True, {"1.bias": 16.0}, weight_decay=0.01)}.items():
        program = loaded(graph_of(optimizer), 8)
        before = program.state()
        program.run(inputs=x, labels=labels, learning_rate=rate)
        after[name] = program.state()
    for name in ("1.weight", "1.bias", "3.weight", "3.bias"):
        factor = 16.0 if name == "1.bias" else 1.0
        gradient = (before[name] - after["plain"][name]) / rate
        decayed = factor * gradient + 0.01 * before[name]
        np.testing.assert_allclose(after["own"][name], before[name] - rate * (1 + 0.9) * decayed, rtol=1e-9)
    with pytest.raises(UsageError, match=r"SGD: the learning rate of 1\.bias is multiplied by a number above 0, not 0"):
        SGD(lr_scales={"1.bias": 0})
