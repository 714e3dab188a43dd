"""LeNet-5, in its modern form.

After LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86(11), 1998; `lenet5_1998` is closer to the paper. The modern form has ReLU instead of the scaled tanh, max
pooling instead of trainable subsampling, a second convolution over all input channels, and a linear layer with softmax
instead of radial basis functions. 61,706 parameters for 28 × 28 grey images of 10 classes.
"""

from __future__ import annotations

from opsin.nn import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.zoo.registry import register


def network(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`; designed for 28 × 28, of any size from 12 × 12."""
    return Sequential(
        ("conv1", Conv2d(6, 5, padding=2)),
        ("relu1", ReLU()),
        ("pool1", MaxPool2d(2)),
        ("conv2", Conv2d(16, 5)),
        ("relu2", ReLU()),
        ("pool2", MaxPool2d(2)),
        ("flatten", Flatten()),
        ("fc1", Linear(120)),
        ("relu3", ReLU()),
        ("fc2", Linear(84)),
        ("relu4", ReLU()),
        ("fc3", Linear(classes)),
    )


lenet5 = register("lenet5", network, (1, 28, 28), classes=10)
