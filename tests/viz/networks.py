"""Small networks of every topology that a diagram has to show."""

from __future__ import annotations

from opsin import nn, ops
from opsin.ir import Graph, Tensor
from tests.nn.support import Of

SHAPE = (3, 32, 32)


def traced(network: nn.Layer, shape: tuple[int, int, int] = SHAPE) -> tuple[Graph, dict[str, str]]:
    return nn.trace(network, shape), nn.layer_kinds(network)


def conv(out: int, kernel: int = 3, stride: int = 1) -> nn.Layer:
    """Return convolution, norm and activation: one unit."""
    return nn.Sequential(
        nn.Conv2d(out, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(), nn.ReLU()
    )  # fmt: skip


def head(classes: int = 10) -> nn.Layer:
    return nn.Sequential(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(classes))


class Residual(nn.Layer):
    """Two convolutions and a shortcut, which is a convolution where the size changes."""

    def __init__(self, out: int, stride: int = 1) -> None:
        self.conv1, self.conv2 = conv(out, 3, stride), conv(out)
        self.down = nn.Conv2d(out, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(ops.add(self.conv2(self.conv1(x)), self.down(x)))


class Gated(nn.Layer):
    """A convolution with channel attention (squeeze and excitation)."""

    def __init__(self, out: int) -> None:
        self.conv, self.fc1, self.fc2 = conv(out), nn.Conv2d(2, 1), nn.Conv2d(out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        gate = ops.sigmoid(self.fc2(ops.relu(self.fc1(ops.global_avg_pool2d(x)))))
        return ops.multiply(x, gate)


class Inception(nn.Layer):
    def __init__(self) -> None:
        self.one, self.three = conv(4, 1), nn.Sequential(conv(2, 1), conv(6))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return ops.concat([self.one(x), self.three(x), self.pool(x)])


class Dense(nn.Layer):
    """Each layer reads the concatenated outputs of all previous ones."""

    def __init__(self, depth: int = 4) -> None:
        self.layers = [nn.Sequential(nn.BatchNorm2d(), nn.ReLU(), nn.Conv2d(4, 3, padding=1)) for _ in range(depth)]

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(ops.concat(outputs)))
        return ops.concat(outputs)


class Shuffled(nn.Layer):
    """Half of the channels are convolved; then all are shuffled."""

    def __init__(self) -> None:
        self.conv = conv(8)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        half = int(channels) // 2 if isinstance(channels, int) else 0
        y = ops.concat([ops.narrow(x, 1, 0, half), self.conv(ops.narrow(x, 1, half, half))])
        y = ops.transpose(ops.reshape(y, (batch, 2, half, rows, columns)), (0, 2, 1, 3, 4))
        return ops.reshape(y, x.shape)


class UNet(nn.Layer):
    """Nested shortcuts."""

    def __init__(self) -> None:
        self.in1, self.in2, self.deep = conv(4), conv(8), conv(8)
        self.out2, self.out1, self.pool, self.up = conv(8), conv(4), nn.MaxPool2d(2), nn.Upsample(2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.in1(x)
        b = self.in2(self.pool(a))
        c = self.up(self.deep(self.pool(b)))
        d = self.up(self.out2(ops.concat([c, b])))
        return self.out1(ops.concat([d, a]))


class Cell(nn.Layer):
    """Branches that read each other: neither a series nor branches."""

    def __init__(self) -> None:
        self.a, self.b, self.c, self.d = conv(4), conv(4), conv(4), conv(4)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        c = self.c(ops.add(a, b))
        return ops.concat([c, self.d(ops.add(b, c)), a])


def chain() -> nn.Layer:
    return nn.Sequential(conv(4), nn.MaxPool2d(2), conv(8), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16), nn.Linear(10))


def stages() -> nn.Layer:
    """Return two stages of residual blocks, some of them identical."""
    first = nn.Sequential(*(Residual(8) for _ in range(3)))
    second = nn.Sequential(Residual(16, 2), *(Residual(16) for _ in range(4)))
    return nn.Sequential(("stem", conv(8)), ("stage1", first), ("stage2", second), ("head", head()))


def pairs() -> nn.Layer:
    """Return alternating depthwise and 1 × 1 convolutions."""

    def pair() -> nn.Layer:
        return nn.Sequential(("dw", nn.Conv2d(8, 3, padding=1, groups=8)), ("pw", nn.Conv2d(8, 1)))

    return nn.Sequential(("stem", conv(8)), ("blocks", nn.Sequential(*(pair() for _ in range(4)))), ("head", head()))


def functional() -> nn.Layer:
    """Return a network without layers: all operations are its own."""
    return Of(lambda self, x: ops.flatten(ops.silu(self.conv(ops.hard_swish(x)))), conv=nn.Conv2d(2, 3))


NETWORKS = {
    "chain": chain,
    "stages": stages,
    "pairs": pairs,
    "functions": functional,
    "gated": lambda: nn.Sequential(conv(8), Gated(8), Gated(8), head()),
    "gated residual": lambda: nn.Sequential(
        conv(8), Of(lambda self, x: ops.add(self.inner(x), x), inner=nn.Sequential(Gated(8), conv(8))), head()
    ),
    "inception": lambda: nn.Sequential(conv(8), Inception(), Inception(), head()),
    "dense": lambda: nn.Sequential(conv(8), Dense(), head()),
    "shuffled": lambda: nn.Sequential(conv(16), Shuffled(), Shuffled(), Shuffled(), Shuffled(), head()),
    "u-net": UNet,
    "irregular": lambda: nn.Sequential(conv(4), Cell(), head()),
    "one layer": lambda: nn.Conv2d(2, 3),
    "nothing": nn.Identity,
    "whole shortcut": lambda: Of(lambda self, x: ops.add(x, self.conv(x)), conv=nn.Conv2d(3, 1)),
}
