"""Writes tests/zoo/fixtures/detectors.npz: torchvision's SSDs, their default boxes and losses.

    python -m tools.make_detector_fixtures

in the repository's root, with torchvision installed (0.29.1 made the file that is there). Weights, images, objects and
outputs come from `tests.zoo.seeding` and `tests.zoo.drawn_detections`; everything is float64 but the default boxes. For
each network the file holds

- `NAME/variables`: JSON, the shape of each parameter and running statistic by name;
- `NAME/class_logits`, `NAME/box_offsets`: samples of the outputs for one image, in evaluation mode;
- `NAME/default_boxes`: their edges, as shares of the image's sides;
- `NAME/matches`: for drawn objects, the object that each default box learns, or -1, for each image;
- `NAME/loss`, `NAME/logits_gradient`, `NAME/offsets_gradient`: for drawn outputs, the gradients as samples;
- `NAME/decoded`: a sample of the boxes that the drawn offsets stand for, in pixels;

and for the losses of detectors without anchors,

- `focal/loss`, `focal/gradient`: the focal loss with γ = 2 of drawn logits and labels, and its gradient;
- `giou/loss`, `giou/gradient`: the generalized IoU loss of drawn boxes, given as distances from one point.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from tests.zoo import drawn_detections as drawn
from tests.zoo import seeding
from tools.make_zoo_fixtures import fill
from torchvision.models.detection.image_list import ImageList

FILE = Path(__file__).parent.parent / "tests/zoo/fixtures/detectors.npz"


def build(name: str, **settings: Any) -> torch.nn.Module:
    create = getattr(torchvision.models.detection, name)
    module: torch.nn.Module = create(weights=None, weights_backbone=None, **settings)
    return module


def outputs(name: str) -> dict[str, Any]:
    module = build(name)
    shapes = fill(module, name)
    module.eval()
    features = list(module.backbone(torch.from_numpy(drawn.image(name))).values())
    found = module.head(features)
    return {
        "variables": np.frombuffer(json.dumps(shapes).encode(), np.uint8),
        "class_logits": seeding.sample("class_logits", found["cls_logits"].detach().numpy()),
        "box_offsets": seeding.sample("box_offsets", found["bbox_regression"].detach().numpy()),
    }


def matching(name: str) -> dict[str, Any]:
    module = build(name, num_classes=drawn.CLASSES + 1)
    side = drawn.SIDES[name]
    images = torch.zeros(drawn.IMAGES, 3, side, side)
    features = list(module.backbone(images).values())
    anchors = module.anchor_generator(ImageList(images, [(side, side)] * drawn.IMAGES), features)
    targets, matches = [], []
    for boxes, classes in drawn.objects():
        targets.append({"boxes": torch.from_numpy(boxes * side), "labels": torch.from_numpy(classes) + 1})
        quality = torchvision.ops.box_iou(targets[-1]["boxes"], anchors[0].double())
        none = torch.full((len(anchors[0]),), -1)
        matches.append(module.proposal_matcher(quality) if len(boxes) else none)
    logits, offsets = (torch.from_numpy(x).requires_grad_() for x in drawn.outputs(len(anchors[0])))
    losses = module.compute_loss(
        targets, {"cls_logits": logits, "bbox_regression": offsets}, [a.double() for a in anchors], matches
    )
    loss = losses["bbox_regression"] + losses["classification"]
    loss.backward()
    decoded = module.box_coder.decode_single(offsets[0].detach(), anchors[0].double())
    return {
        "default_boxes": anchors[0].numpy() / side,
        "matches": torch.stack(matches).numpy().astype(np.int16),
        "loss": loss.item(),
        "logits_gradient": seeding.sample("logits", logits.grad.numpy(), 1000),
        "offsets_gradient": seeding.sample("offsets", offsets.grad.numpy(), 1000),
        "decoded": seeding.sample("decoded", decoded.numpy()),
    }


def point_losses() -> dict[str, Any]:
    logits = torch.from_numpy(drawn.logits()).requires_grad_()
    focal = torchvision.ops.sigmoid_focal_loss(logits, torch.from_numpy(drawn.labels()), alpha=-1, reduction="sum")
    focal.backward()
    a, b = (torch.from_numpy(x).requires_grad_() for x in drawn.distances())
    signs = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    giou = torchvision.ops.generalized_box_iou_loss(a * signs, b * signs, reduction="sum", eps=0)
    giou.backward()
    return {
        "focal/loss": focal.item(),
        "focal/gradient": logits.grad.numpy(),
        "giou/loss": giou.item(),
        "giou/gradient": a.grad.numpy(),
    }


def main() -> None:
    torch.set_num_threads(1)
    found = point_losses()
    for name in drawn.SIDES:
        found |= {f"{name}/{key}": value for key, value in (outputs(name) | matching(name)).items()}
        print(f"{name}: loss {found[f'{name}/loss']}")
    np.savez_compressed(FILE, **{key: np.asarray(value) for key, value in found.items()})
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
