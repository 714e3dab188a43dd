"""The networks of `opsin.zoo` as people write them in PyTorch, with the same names of parameters."""

from __future__ import annotations

try:
    import torch
except ImportError:
    raise SystemExit("this compares with PyTorch; install it with: pip install 'opsin[torch]'") from None

from torch import Tensor, nn
from torch.nn import functional


class LeNet5(nn.Module):
    """`opsin.zoo.lenet5`: ReLU and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc3(torch.relu(self.fc2(x)))


class Subsampling(nn.Module):
    """Means of 2 × 2, times a trainable coefficient, plus a bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2) * self.weight[:, None, None] + self.bias[:, None, None]


class TableConv2d(nn.Conv2d):
    """A convolution with some of its kernels missing."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.register_buffer("table", torch.ones(self.out_channels, self.in_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.table, self.bias)


class LeNet5Of1998(nn.Module):
    """`opsin.zoo.lenet5_1998`: scaled tanh and mean pooling; the table comes with the state."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5, padding=2), TableConv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.s2, self.s4 = Subsampling(6), Subsampling(16)
        self.f6, self.output = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squash(self.s2(self.squash(self.c1(x))))
        x = self.squash(self.s4(self.squash(self.c3(x))))
        x = self.squash(self.c5(x)).flatten(1)
        return self.output(self.squash(self.f6(x)))

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride) and 1×1 convolutions, and a shortcut."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, 4 * channels, 1, bias=False), nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or before != 4 * channels:
            shortcut = nn.Conv2d(before, 4 * channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.downsample(x) if self.downsample else x
        return self.relu(y)


def resnet50() -> nn.Module:
    """`opsin.zoo.resnet50`, in the way of torchvision's: activations and additions in place."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    before = 64
    for channels, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(blocks):
            layers.append(Bottleneck(before, channels, stride if number == 0 else 1))
            before = 4 * channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))
