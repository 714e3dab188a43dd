"""DS-CNN: Zhang, Suda, Lai & Chandra, "Hello edge: keyword spotting on microcontrollers", arXiv:1711.07128, 2017.

Depthwise-separable convolutions on spectral features, one channel of bands × frames. This is the small network of the
paper; `mlperf_tiny_ds_cnn` is a benchmark's version of it, with time along the rows.
"""

from __future__ import annotations

from opsin.nn import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.ops.sliding import Pair
from opsin.zoo.registry import register

CHANNELS, BLOCKS = 64, 4


def conv_norm(kernel_size: int | Pair, stride: int | Pair = 1, groups: int = 1) -> list[Layer]:
    """Return a convolution, batch normalization and ReLU."""
    conv = Conv2d(CHANNELS, kernel_size, stride, "same", groups=groups, bias=False, weight_init=kaiming_normal)
    return [conv, BatchNorm2d(), ReLU()]


def network(classes: int) -> Layer:
    """Features N × 1 × bands × frames → N × `classes`, of any size."""
    blocks = [Sequential(*conv_norm(3, groups=CHANNELS), *conv_norm(1)) for _ in range(BLOCKS)]
    return Sequential(
        ("stem", Sequential(*conv_norm((4, 10), 2))),
        ("blocks", Sequential(*blocks)),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("dropout", Dropout(0.2)),
        ("fc", Linear(classes)),
    )


ds_cnn = register("ds_cnn", network, (1, 10, 101), classes=12, kind="sound")
