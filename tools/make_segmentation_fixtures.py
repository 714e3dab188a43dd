"""Writes tests/zoo/fixtures/segmentation.npz: what torchvision's segmentation networks compute.

    python -m tools.make_segmentation_fixtures

in the repository's root, with torchvision installed (0.29.1 made the file that is there). Contents are as in
`tools.make_zoo_fixtures`, except that logits are samples of `tests.zoo.seeding.sample`, with one label for each pixel,
and `NAME/training` is a sample of the logits in training mode. FCN's auxiliary loss counts half.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from tests.zoo import seeding
from tools.make_zoo_fixtures import fill, updated_state
from torch.nn.functional import cross_entropy

FILE = Path(__file__).parent.parent / "tests/zoo/fixtures/segmentation.npz"
NETWORKS = {"fcn_resnet50": {"aux_loss": True}, "lraspp_mobilenet_v3_large": {}}
CLASSES = 21
AUXILIARY_WEIGHT = 0.5


def evaluate(module: torch.nn.Module) -> dict[str, Any]:
    module.eval()
    x = torch.from_numpy(seeding.images()).requires_grad_()
    logits = module(x)["out"]
    (gradient,) = torch.autograd.grad((logits * torch.from_numpy(seeding.coefficients(tuple(logits.shape)))).sum(), x)
    return {
        "logits": seeding.sample("logits", logits.detach().numpy(), seeding.PIXELS),
        "gradient": seeding.sample("gradient", gradient.numpy()),
    }


def step(module: torch.nn.Module, names: list[str]) -> dict[str, Any]:
    module.train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.eval()
    result = module(torch.from_numpy(seeding.noise()))
    labels = torch.from_numpy(seeding.pixel_labels(CLASSES))
    loss = cross_entropy(result["out"], labels)
    if "aux" in result:
        loss = loss + AUXILIARY_WEIGHT * cross_entropy(result["aux"], labels)
    training = seeding.sample("training", result["out"].detach().numpy(), seeding.PIXELS)
    return {"training": training} | updated_state(module, loss, names, seeding.PIXEL_LEARNING_RATE)


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, settings in NETWORKS.items():
        with torch.device("meta"):
            create = getattr(torchvision.models.segmentation, name)
            module = create(weights=None, weights_backbone=None, num_classes=CLASSES, **settings)
        shapes = fill(module, name)
        results = evaluate(module) | step(module, list(shapes))
        found[f"{name}/variables"] = np.frombuffer(json.dumps(shapes).encode(), np.uint8)
        found |= {f"{name}/{key}": np.asarray(value) for key, value in results.items()}
        print(f"{name}: loss {results['loss']}")
    np.savez_compressed(FILE, **found)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
