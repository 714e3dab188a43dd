"""Writes tests/zoo/fixtures/torchvision.npz: what torchvision's networks are called inside, and what they compute.

    python -m tools.make_zoo_fixtures

in the repository's root, with torchvision installed (0.29.1 made the file that is there). Weights and images come
from `tests.zoo.seeding`; everything is float64. For each network the file holds

- `NAME/variables`: JSON, the shape of each parameter and running statistic by name;
- `NAME/logits`: of two small images, in evaluation mode;
- `NAME/gradient`: a sample of the gradient of Σ coefficients · logits by the images;

and for one network or two of each family, after one step of SGD with weight decay in training mode without dropout,

- `NAME/loss`: before the step, with GoogLeNet's auxiliary classifiers at 0.3 each;
- `NAME/norms` and `NAME/sums` of each variable after it, in the order of `NAME/variables`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from tests.zoo import seeding
from torch.nn.functional import cross_entropy

FILE = Path(__file__).parent.parent / "tests/zoo/fixtures/torchvision.npz"
STEPPED = (
    "alexnet", "vgg11_bn", "googlenet", "resnet18", "resnet50", "resnext50_32x4d", "densenet121", "squeezenet1_1",
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0", "efficientnet_b0",
)  # fmt: skip
NETWORKS = (
    *STEPPED, "vgg11", "vgg13", "vgg16", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn",
    "resnet34", "resnet101", "resnet152", "wide_resnet50_2",
)  # fmt: skip


class HardSigmoid(torch.nn.Module):
    """PyTorch's own has a gradient of 1/6 in single precision, even for float64: wrong from the eighth digit on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu6(x + 3) / 6


def build(name: str) -> tuple[torch.nn.Module, dict[str, tuple[int, ...]]]:
    """The network with seeded weights, in float64, and its variables' shapes."""
    settings = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        module: torch.nn.Module = getattr(torchvision.models, name)(weights=None, **settings)
    return module, fill(module, name)


def fill(module: torch.nn.Module, name: str) -> dict[str, tuple[int, ...]]:
    """Seeds the weights of `module`, the network `name`, in float64, and gives its variables' shapes."""
    state = module.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
    counters = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in state.items() if key not in shapes}
    values = {key: torch.from_numpy(value) for key, value in seeding.weights(name, shapes).items()}
    module.load_state_dict(values | counters, assign=True)
    for layer in list(module.modules()):
        for key, child in layer.named_children():
            if isinstance(child, torch.nn.Hardsigmoid):
                setattr(layer, key, HardSigmoid())
    return shapes


def evaluate(module: torch.nn.Module) -> dict[str, Any]:
    module.eval()
    x = torch.from_numpy(seeding.images()).requires_grad_()
    logits = module(x)
    (gradient,) = torch.autograd.grad((logits * torch.from_numpy(seeding.coefficients(tuple(logits.shape)))).sum(), x)
    return {
        "logits": logits.detach().numpy(),
        "gradient": seeding.sample("gradient", gradient.numpy()),
    }


def step(module: torch.nn.Module, names: list[str]) -> dict[str, Any]:
    module.train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Dropout | torchvision.ops.StochasticDepth):
            layer.eval()
    result = module(torch.from_numpy(seeding.noise()))
    labels = torch.from_numpy(seeding.labels(1000))
    loss = cross_entropy(getattr(result, "logits", result), labels)
    for auxiliary in ("aux_logits1", "aux_logits2"):
        if hasattr(result, auxiliary):
            loss = loss + 0.3 * cross_entropy(getattr(result, auxiliary), labels)
    return updated_state(module, loss, names)


def updated_state(
    module: torch.nn.Module, loss: torch.Tensor, names: list[str], rate: float = seeding.LEARNING_RATE
) -> dict[str, Any]:
    """Takes a step of SGD and gives the loss before it, and the norms and sums of the variables after it."""
    loss.backward()
    torch.optim.SGD(module.parameters(), rate, weight_decay=seeding.WEIGHT_DECAY).step()
    state = {name: module.state_dict()[name].numpy() for name in names}
    return {
        "loss": loss.item(),
        "norms": np.array([np.linalg.norm(values) for values in state.values()]),
        "sums": np.stack([seeding.sums(values) for values in state.values()]),
    }


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in NETWORKS:
        module, shapes = build(name)
        results = evaluate(module) | (step(module, list(shapes)) if name in STEPPED else {})
        found[f"{name}/variables"] = np.frombuffer(json.dumps(shapes).encode(), np.uint8)
        found |= {f"{name}/{key}": np.asarray(value) for key, value in results.items()}
        print(f"{name:20} logits within ±{np.abs(results['logits']).max():.3g}, loss {results.get('loss', '-')}")
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **found)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
