"""Networks as people write them: layers, losses, optimizers and schedules, and how they become graphs."""

from opsin.nn import initializers, losses, optimizers, schedules
from opsin.nn.averages import averaged
from opsin.nn.describe import Description, Row, describe
from opsin.nn.init import initial_state
from opsin.nn.initializers import Initializer, fan_in_uniform
from opsin.nn.layer import Init, Layer, Sequential, named_layers
from opsin.nn.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSwish,
    Identity,
    L2Pool2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    StochasticDepth,
    Tanh,
    Upsample,
)
from opsin.nn.trace import PictureShape, layer_kinds, trace
from opsin.nn.training_graph import Loss, features_graphs, training_graph, training_step
from opsin.nn.whitening import Whitening, fit_whitening

__all__ = [
    "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm2d", "Conv2d", "ConvTranspose2d", "Description", "Dropout",
    "Flatten", "GlobalAvgPool2d", "GlobalMaxPool2d", "HardSwish", "Identity", "Init", "Initializer", "L2Pool2d",
    "Layer", "LeakyReLU", "Linear", "LocalResponseNorm", "LogSoftmax", "Loss", "MaxPool2d", "PictureShape", "ReLU",
    "ReLU6", "Row", "Sequential", "SiLU", "Sigmoid", "Softmax", "StochasticDepth", "Tanh", "Upsample", "Whitening",
    "averaged", "describe", "fan_in_uniform", "features_graphs", "fit_whitening", "initial_state", "initializers",
    "layer_kinds", "losses", "named_layers", "optimizers", "schedules", "trace", "training_graph", "training_step",
]  # fmt: skip
