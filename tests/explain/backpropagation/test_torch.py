"""Gradients and updates against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain.backpropagation.updates import RULES, Rule, state_after, table
from tests.explain.backpropagation.support import traced

torch = pytest.importorskip("torch")
OPTIMIZERS = {
    "gradient descent": lambda p, rate: torch.optim.SGD(p, lr=rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.9),
    "adam": lambda p, rate: torch.optim.Adam(p, lr=rate),
    "adagrad": lambda p, rate: torch.optim.Adagrad(p, lr=rate),
}


def test_gradients_of_lenet5() -> None:
    backward, step = traced("lenet5")
    w = {name: torch.tensor(value, dtype=torch.float64) for name, value in backward.model.state.items()}
    for name in backward.parameters:
        w[name].requires_grad_()
    arrays, f = backward.arrays(step.case), torch.nn.functional
    x = torch.tensor(arrays["inputs"], dtype=torch.float64)
    for name, padding in (("conv1", 2), ("conv2", 0)):
        x = f.max_pool2d(f.relu(f.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)), 2)
    x = x.flatten(1)
    for name in ("fc1", "fc2"):
        x = f.relu(f.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]))
    logits = f.linear(x, w["fc3.weight"], w["fc3.bias"])
    logits.retain_grad()
    loss = f.cross_entropy(logits, torch.tensor([step.case.target.label]))
    loss.backward()
    assert float(step.loss) == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, tensor in backward.parameters.items():
        expected = w[name].grad.numpy()
        np.testing.assert_allclose(step.gradients[tensor], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    output = backward.network.outputs["logits"]
    np.testing.assert_allclose(step.gradients[output], logits.grad.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_two_steps_of_an_optimizer(rule: Rule) -> None:
    gradients = (np.float32(-0.37), np.float32(0.21))
    weight = torch.tensor(0.8125, requires_grad=True)
    optimizer = OPTIMIZERS[rule.key]([weight], rule.rate)
    value, state = np.float32(0.8125), {}
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        values = table(rule.optimizer, value, gradient, rule.rate, state)
        value, state = values["w new"], state_after(rule.optimizer, values)
        assert float(value) == pytest.approx(float(weight.detach()), rel=1e-6)
