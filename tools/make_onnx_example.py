"""Makes docs/digits.onnx, the example of docs/onnx.md: `python tools/make_onnx_example.py`.

A small network of PyTorch's, trained on the built-in digits and written by PyTorch's exporter, with a free batch. Needs
`pip install torch onnx`. The file is what another program makes; nothing in it is Opsin's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from opsin.data import LabeledImages, load

MEAN, STD = 0.1307, 0.3081
EPOCHS, BATCH, RATE = 30, 64, 0.01
TARGET = Path(__file__).parent.parent / "docs" / "digits.onnx"


def network() -> nn.Sequential:
    """Three convolutions with stride 2, each with batch normalization, and a mean: 6,274 parameters."""
    layers: list[nn.Module] = []
    for channels, filters in ((1, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(channels, filters, 3, 2, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def tensors(images: LabeledImages) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = (torch.from_numpy(images.pixels).float() / 255 - MEAN) / STD
    return pixels, torch.from_numpy(images.labels).long()


def train(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> None:
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH)[: len(x) // BATCH]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits, net = load("digits"), network()
    train(net, *tensors(digits.train))
    net.eval()
    x, y = tensors(digits.test)
    print(f"{(net(x).argmax(1) == y).float().mean():.2%} of {len(y):,} held-out images right")
    torch.onnx.export(
        net, (x[:1],), TARGET, dynamo=False, opset_version=17, input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}}, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
    )  # fmt: skip
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
