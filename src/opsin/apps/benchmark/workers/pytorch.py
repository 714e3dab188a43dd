"""PyTorch: eager, eager with channels last, and compiled; for inference also frozen.

It follows the advice of PyTorch's performance tuning guide, and of the notes on TorchInductor's freezing, for CPUs:
denormals are flushed, the optimizer is fused, inference has no autograd, activations work in place if nothing else
reads their input, and compiled inference has frozen weights, which are folded and packed ahead.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, serve

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "hard_swish": nn.Hardswish, "silu": nn.SiLU,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "multiply": operator.mul, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "gelu": functional.gelu, "flatten": lambda x: x.flatten(1),
}  # fmt: skip


class Network:
    """The module of a list of layers."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.shapes = {0: description["input"], **{step["output"]: step["shape"] for step in description["steps"]}}
        self.readers = Counter(number for step in description["steps"] for number in step["inputs"])
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

    def _node(self, step: dict[str, Any]) -> fx.Node:
        x = [self.values[number] for number in step["inputs"]]
        op, attrs = step["op"], step["attrs"]
        if op in FUNCTIONS:
            return self.graph.call_function(FUNCTIONS[op], tuple(x))
        if op == "scale":
            return self.graph.call_function(operator.mul, (x[0], attrs["factor"]))
        if op == "concat":
            return self.graph.call_function(torch.cat, (x, attrs["axis"]))
        if op == "slice":
            bounds = zip(attrs["starts"][1:], attrs["stops"][1:], attrs["steps"][1:], strict=True)
            return self.graph.call_function(
                operator.getitem, (x[0], (slice(None), *(slice(*bound) for bound in bounds)))
            )
        if op == "pad":
            assert not any(attrs["interior"])
            widths = [w for pair in zip(attrs["low"][::-1], attrs["high"][::-1], strict=True) for w in pair]
            return self.graph.call_function(functional.pad, (x[0], widths))
        padding = attrs.get("padding", ((0, 0), (0, 0)))  # ((top, bottom), (left, right))
        if any(low != high for low, high in padding):
            assert op == "conv2d"
            x[0] = self.graph.call_function(functional.pad, (x[0], [*padding[1], *padding[0]]))
            padding = ((0, 0), (0, 0))
        name = f"{op}{step['output']}"
        self.modules.add_module(name, self._module(step, (padding[0][0], padding[1][0])))
        self.names |= {f"{name}.{role}": source for role, source in step["parameters"].items()}
        return self.graph.call_module(name, (x[0],))

    def _module(self, step: dict[str, Any], padding: tuple[int, int]) -> nn.Module:
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


class PyTorch:
    """A network in one of the modes. Its results are tensors."""

    def __init__(self, job: BenchmarkJob) -> None:
        torch.set_num_threads(job.threads)
        torch.set_flush_denormal(True)
        weights, inputs = job.arrays()
        layout = torch.channels_last if "channels_last" in job.mode else torch.contiguous_format
        network = Network(job.network)
        network.load(weights)
        module: Any = network.module  # PyTorch's type hints lack `memory_format`
        self.module = module.to(memory_format=layout)
        self.images = torch.from_numpy(inputs["inputs"]).contiguous(memory_format=layout)
        if job.task == "train":
            self.labels = torch.from_numpy(inputs["labels"]).long()
            self.loss_weights = [weight for _, weight in job.network["outputs"]]
            self.module.train()
            self.optimizer = torch.optim.SGD(self.module.parameters(), lr=job.rate, momentum=job.momentum, fused=True)
            self.loss: Any = torch.compile(self._loss, dynamic=False) if "compile" in job.mode else self._loss
            self.step: Any = self._training_step
        else:
            self._prepare_inference(job.mode)
            self.step = self._inference

    def _prepare_inference(self, mode: str) -> None:
        """Trace and freeze, or compile, the module according to the mode."""
        self.module.eval()
        if "frozen" in mode:
            with torch.inference_mode():
                traced = torch.jit.trace(self.module, self.images)
                self.module = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        elif "compile" in mode:
            torch._inductor.config.freezing = True  # what TORCHINDUCTOR_FREEZING=1 sets
            self.module = torch.compile(self.module, dynamic=False)

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        outputs = self.module(images)
        terms = [functional.cross_entropy(logits, labels) for logits in outputs]
        return sum((weight * term for weight, term in zip(self.loss_weights[1:], terms[1:], strict=True)), terms[0])

    def _training_step(self) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss: torch.Tensor = self.loss(self.images, self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def _inference(self) -> torch.Tensor:
        with torch.no_grad() if torch._inductor.config.freezing else torch.inference_mode():
            logits: torch.Tensor = self.module(self.images)[0]
            return logits

    def results(self) -> Arrays:
        first = self.step()
        if first.dim():
            return {"logits": first.numpy()}
        return {"losses": np.array([first.item(), self.step().item()])}

    def info(self) -> dict[str, Any]:
        return {"version": torch.__version__}


if __name__ == "__main__":
    serve(PyTorch)
