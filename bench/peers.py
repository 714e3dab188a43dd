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
