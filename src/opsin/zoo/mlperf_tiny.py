"""MLPerf Tiny: Banbury, Reddi, Torelli et al., "MLPerf Tiny benchmark", NeurIPS Datasets and Benchmarks, 2021.

The three convolutional networks of this benchmark for microcontrollers, after its reference models
(github.com/mlcommons/tiny, Keras): every convolution has a bias, padding is TensorFlow's "SAME", and batch
normalization has Keras's constants.

- `mlperf_tiny_resnet8`: CIFAR-10; three residual blocks of 16, 32 and 64 channels. 78,186 parameters, and 78,666 as
  Keras counts, with the running statistics. The inputs are pixel values from 0 to 255.
- `mlperf_tiny_ds_cnn`: twelve spoken words; Zhang, Suda, Lai & Chandra, "Hello edge: keyword spotting on
  microcontrollers", arXiv:1711.07128, 2017. An "image" is 49 time steps × 10 cepstral coefficients. 23,756 and 24,908.
- `mlperf_tiny_vww`: visual wake words, a person or none in the image; Chowdhery, Warden, Shlens, Howard & Rhodes,
  "Visual wake words dataset", arXiv:1906.05721, 2019. MobileNetV1 with a quarter of the channels, and ReLU.
  216,322 and 221,794.

Unlike there, the softmax at the end is part of the loss, and all weights are initialised by He et al. 2015.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import constant, kaiming_normal
from opsin.ops.sliding import Pair
from opsin.zoo.mobilenet_v1 import BLOCKS
from opsin.zoo.registry import register

conv = partial(Conv2d, padding="same", weight_init=kaiming_normal, bias_init=constant(0))
norm = partial(BatchNorm2d, eps=1e-3, momentum=0.01)
dense = partial(Linear, weight_init=kaiming_normal, bias_init=constant(0))


def conv_norm(out: int, kernel_size: int | Pair = 1, stride: int | Pair = 1, groups: int = 1) -> list[Layer]:
    """Return a convolution, batch normalization and ReLU."""
    return [conv(out, kernel_size, stride, groups=groups), norm(), ReLU()]


def separable(channels: int, out: int, stride: int = 1) -> list[Layer]:
    """Return a depthwise and a pointwise convolution."""
    return conv_norm(channels, 3, stride, groups=channels) + conv_norm(out)


class ResidualBlock(Layer):
    """Two 3 × 3 convolutions; with a stride of 2 the shortcut is a 1 × 1 convolution, without normalization."""

    def __init__(self, out: int, stride: int) -> None:
        self.conv1, self.bn1 = conv(out, 3, stride), norm()
        self.conv2, self.bn2 = conv(out, 3), norm()
        self.shortcut = None if stride == 1 else conv(out, 1, stride)
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(ops.add(x if self.shortcut is None else self.shortcut(x), y))


def resnet8(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    return Sequential(
        ("stem", Sequential(*conv_norm(16, 3))),
        ("blocks", Sequential(ResidualBlock(16, 1), ResidualBlock(32, 2), ResidualBlock(64, 2))),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("fc", dense(classes)),
    )


def ds_cnn(classes: int) -> Layer:
    """Spectrograms N × C × time steps × coefficients → N × `classes`, of any size."""
    return Sequential(
        ("stem", Sequential(*conv_norm(64, (10, 4), 2))),
        ("dropout1", Dropout(0.2)),
        ("blocks", Sequential(*[Sequential(*separable(64, 64)) for _ in range(4)])),
        ("dropout2", Dropout(0.4)),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("fc", dense(classes)),
    )


def vww(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    channels, blocks = 8, []
    for stride, out in (row for stage in BLOCKS for row in stage):
        blocks.append(Sequential(*separable(channels, out // 4, stride)))
        channels = out // 4
    return Sequential(
        ("stem", Sequential(*conv_norm(8, 3, 2))),
        ("blocks", Sequential(*blocks)),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("fc", dense(classes)),
    )


mlperf_tiny_resnet8 = register("mlperf_tiny_resnet8", resnet8, (3, 32, 32), classes=10)
mlperf_tiny_ds_cnn = register("mlperf_tiny_ds_cnn", ds_cnn, (1, 49, 10), classes=12)
mlperf_tiny_vww = register("mlperf_tiny_vww", vww, (3, 96, 96), classes=2)
