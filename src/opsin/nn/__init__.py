"""The API for defining networks: layers, losses, optimizers and schedules, and their tracing to graphs."""

from opsin.ir.initial_state import initial_state
from opsin.nn import initializers, losses, metric_losses, optimizers, schedules
from opsin.nn.activations import GELU, HardSwish, LeakyReLU, LogSoftmax, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from opsin.nn.clips import AvgPool3d, BatchNorm3d, Conv3d, GlobalAvgPool3d, MaxPool3d
from opsin.nn.describe import Description, LayerRow, describe
from opsin.nn.ema import averaged
from opsin.nn.initializers import Initializer, fan_in_uniform
from opsin.nn.layer import Init, Layer, Sequential, named_layers
from opsin.nn.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    L2Pool2d,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    StochasticDepth,
    Upsample,
)
from opsin.nn.objective import Loss, Objective
from opsin.nn.sequences import AvgPool1d, BatchNorm1d, Conv1d, Embedding, GlobalAvgPool1d, GlobalMaxPool1d, MaxPool1d
from opsin.nn.trace import ImageShape, layer_kinds, trace
from opsin.nn.training_graph import features_graphs, tapped_graphs, training_graph, training_step
from opsin.nn.whitening import Whitening, fit_whitening

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Description",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalAvgPool3d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "HardSwish",
    "Identity",
    "ImageShape",
    "Init",
    "Initializer",
    "L2Pool2d",
    "Layer",
    "LayerRow",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "Loss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Objective",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "StochasticDepth",
    "Tanh",
    "Upsample",
    "Whitening",
    "averaged",
    "describe",
    "fan_in_uniform",
    "features_graphs",
    "fit_whitening",
    "initial_state",
    "initializers",
    "layer_kinds",
    "losses",
    "metric_losses",
    "named_layers",
    "optimizers",
    "schedules",
    "tapped_graphs",
    "trace",
    "training_graph",
    "training_step",
]  # fmt: skip
