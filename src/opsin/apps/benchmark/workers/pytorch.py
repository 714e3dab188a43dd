"""PyTorch: eager, eager with channels last, and compiled; for inference also frozen.

It follows the advice of PyTorch's performance tuning guide, and of the notes on TorchInductor's freezing, for CPUs:
denormals are flushed, the optimizer is fused, inference has no autograd, activations work in place if nothing else
reads their input, and compiled inference has frozen weights, which are folded and packed ahead. In bfloat16, autocast
chooses the operations, and parameters stay float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from opsin.apps.benchmark.workers.pytorch_network import Network
from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, named_outputs, serve

MSE = "mean_squared_error"


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
        self.training = job.task == "train"
        self.autocast: Any = partial(
            torch.autocast, "cpu", torch.bfloat16, enabled=job.mode.endswith("bf16"), cache_enabled=self.training
        )
        if self.training:
            self.criterion = getattr(functional, "mse_loss" if job.network["loss"] == MSE else job.network["loss"])
            self.loss_weights = [weight for _, weight in job.network["outputs"]]
            self.targets = self._targets(job.network, inputs, layout)
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

    def _targets(self, network: dict[str, Any], inputs: Arrays, layout: Any) -> list[torch.Tensor]:
        """Return the target of each output, images in the layout of the network."""
        if network["loss"] != MSE:
            return [torch.from_numpy(inputs["labels"]).long()] * len(network["outputs"])
        count = len(network["outputs"]) - network["auxiliaries"]
        targets: list[torch.Tensor] = [torch.from_numpy(inputs[f"target{number}"]) for number in range(count)]
        targets = [t.contiguous(memory_format=layout) if t.dim() == 4 else t for t in targets]
        return [*targets, *targets[:1] * network["auxiliaries"]]

    def _loss(self, images: torch.Tensor, targets: Sequence[torch.Tensor]) -> torch.Tensor:
        with self.autocast():
            outputs = self.module(images)
        pairs = zip(outputs, targets, strict=True)
        terms: list[torch.Tensor] = [self.criterion(output.float(), target) for output, target in pairs]
        return sum((weight * term for weight, term in zip(self.loss_weights[1:], terms[1:], strict=True)), terms[0])

    def _training_step(self) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss: torch.Tensor = self.loss(self.images, self.targets)
        loss.backward()
        self.optimizer.step()
        return loss

    def _inference(self) -> Sequence[torch.Tensor]:
        with torch.no_grad() if torch._inductor.config.freezing else torch.inference_mode(), self.autocast():
            outputs: Sequence[torch.Tensor] = self.module(self.images)
            return outputs

    def results(self) -> Arrays:
        if self.training:
            return {"losses": np.array([self.step().item(), self.step().item()])}
        return named_outputs(output.float().numpy() for output in self.step())

    def info(self) -> dict[str, Any]:
        return {"version": torch.__version__}


if __name__ == "__main__":
    serve(PyTorch)
