"""The PyTorch module of a list of layers."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from opsin.apps.benchmark.workers.worker import Arrays

Step = dict[str, Any]
"""The data of a `lifting.LayerStep`."""
Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "hard_swish": nn.Hardswish, "silu": nn.SiLU,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "multiply": operator.mul, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "gelu": functional.gelu, "flatten": lambda x: x.flatten(1), "exp": torch.exp,
    "hard_sigmoid": functional.hardsigmoid,
}  # fmt: skip


def _slice(x: list[fx.Node], step: Step) -> Call:
    attrs = step["attrs"]
    bounds = zip(attrs["starts"][1:], attrs["stops"][1:], attrs["steps"][1:], strict=True)
    return operator.getitem, (x[0], (slice(None), *(slice(*bound) for bound in bounds)))


def _pad(x: list[fx.Node], step: Step) -> Call:
    attrs = step["attrs"]
    assert not any(attrs["interior"])
    widths = [w for pair in zip(attrs["low"][::-1], attrs["high"][::-1], strict=True) for w in pair]
    return functional.pad, (x[0], widths)


def _resize(x: list[fx.Node], step: Step) -> Call:
    size, (mode, *corners) = tuple(step["attrs"]["size"]), step["attrs"]["mode"].split("_")
    return functional.interpolate, (x[0], size, None, mode, bool(corners) if mode == "bilinear" else None)


CALLS: dict[str, Callable[[list[fx.Node], Step], Call]] = {
    "scale": lambda x, step: (operator.mul, (x[0], step["attrs"]["factor"])),
    "clamp_max": lambda x, step: (torch.clamp_max, (x[0], step["attrs"]["limit"])),
    "concat": lambda x, step: (torch.cat, (x, step["attrs"]["axis"])),
    "permute": lambda x, step: (torch.permute, (x[0], step["attrs"]["axes"])),
    "reshape": lambda x, step: (torch.reshape, (x[0], (-1, *step["shape"]))),
    "normalize": lambda x, step: (functional.normalize, (x[0], 2.0, 1, step["attrs"]["eps"])),
    "layer_norm": lambda x, step: (functional.layer_norm, (x[0], step["shape"], None, None, step["attrs"]["eps"])),
    "slice": _slice,
    "pad": _pad,
    "resize": _resize,
}
"""Functions with more arguments than the inputs."""


class Network:
    """The module of a list of layers."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.shapes = {0: description["input"], **{step["output"]: step["shape"] for step in description["steps"]}}
        self.readers = Counter(number for step in description["steps"] for number in step["inputs"])
        self.readers.update(number for number, _ in description["outputs"])
        self.shared: dict[str, torch.Tensor] = {}
        """Parameters and running statistics by name, which several layers may have in common."""
        self.modules, self.graph = nn.ModuleDict(), fx.Graph()
        self.names: dict[str, str] = {}
        self.values = {0: self.graph.placeholder("inputs")}
        for step in description["steps"]:
            self.values[step["output"]] = self._node(step)
        self.graph.output([self.values[number] for number, _ in description["outputs"]])
        self.module = fx.GraphModule(self.modules, self.graph)
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(self.names[name] not in description["fixed"])

    def load(self, weights: Arrays) -> None:
        """Set parameters and running statistics by their names in the list of layers."""
        state = {name: torch.from_numpy(weights[source]) for name, source in self.names.items()}
        missing_names, unexpected_names = self.module.load_state_dict(state, strict=False)
        assert not unexpected_names and all(name.endswith("num_batches_tracked") for name in missing_names), (
            missing_names,
            unexpected_names,
        )

    def _node(self, step: Step) -> fx.Node:
        x = [self.values[number] for number in step["inputs"]]
        op, attrs = step["op"], step["attrs"]
        if op in FUNCTIONS:
            return self.graph.call_function(FUNCTIONS[op], tuple(x))
        if op in CALLS:
            return self.graph.call_function(*CALLS[op](x, step))
        if op == "channel_scale":
            return self._channel_scale(step, x[0])
        padding = attrs.get("padding", ((0, 0), (0, 0)))  # ((top, bottom), (left, right))
        if any(low != high for low, high in padding):
            assert op == "conv2d", f"{op} with unequal padding"
            x[0] = self.graph.call_function(functional.pad, (x[0], [*padding[1], *padding[0]]))
            padding = ((0, 0), (0, 0))
        name = f"{op}{step['output']}"
        self._add(name, self._module(step, (padding[0][0], padding[1][0])), step)
        return self.graph.call_module(name, (x[0],))

    def _add(self, name: str, module: nn.Module, step: Step) -> None:
        """Add a module. Parameters that an earlier one has by the same name become common to both."""
        self.modules.add_module(name, module)
        for role, source in step["parameters"].items():
            setattr(module, role, self.shared.setdefault(source, getattr(module, role)))
            self.names[f"{name}.{role}"] = source

    def _channel_scale(self, step: Step, x: fx.Node) -> fx.Node:
        """Return the product with a number for each channel."""
        name = f"scale{step['output']}"
        module = nn.Module()
        module.weight = nn.Parameter(torch.empty(step["shape"][0]))
        self._add(name, module, step)
        weight = self.graph.call_function(torch.reshape, (self.graph.get_attr(f"{name}.weight"), (-1, 1, 1)))
        return self.graph.call_function(operator.mul, (x, weight))

    def _module(self, step: Step, padding: tuple[int, int]) -> nn.Module:
        op, attrs, bias = step["op"], step["attrs"], "bias" in step["parameters"]
        channels = self.shapes[step["inputs"][0]][0]
        match op:
            case "conv2d":
                kernel = attrs["kernel"]
                return nn.Conv2d(
                    channels,
                    step["shape"][0],
                    kernel,
                    attrs["stride"],
                    padding,
                    attrs["dilation"],
                    attrs["groups"],
                    bias,
                )
            case "conv_transpose2d":
                return nn.ConvTranspose2d(
                    channels, step["shape"][0], attrs["kernel"], attrs["stride"], padding, attrs["output_padding"],
                    attrs["groups"], bias, attrs["dilation"],
                )  # fmt: skip
            case "linear":
                return nn.Linear(channels, step["shape"][0], bias)
            case "batch_norm":
                return nn.BatchNorm2d(channels, attrs["eps"], attrs["momentum"])
            case "max_pool2d":
                return nn.MaxPool2d(attrs["window"], attrs["stride"], padding, ceil_mode=attrs["ceil_mode"])
            case "avg_pool2d":
                return nn.AvgPool2d(
                    attrs["window"], attrs["stride"], padding, attrs["ceil_mode"], attrs["count_include_pad"]
                )
            case "global_avg_pool2d":
                return nn.AdaptiveAvgPool2d(1)
            case "adaptive_avg_pool2d":
                return nn.AdaptiveAvgPool2d(tuple(attrs["size"]))
            case "local_response_norm":
                return nn.LocalResponseNorm(attrs["size"], attrs["alpha"], attrs["beta"], attrs["k"])
        return ACTIVATIONS[op](inplace=self.readers[step["inputs"][0]] == 1 and step["inputs"][0] != 0)
