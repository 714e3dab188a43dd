"""The plan of `cifar10.py` in PyTorch: everything the same but who computes."""

from __future__ import annotations

import copy
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    raise SystemExit("this compares with PyTorch; install it with: pip install 'opsin[torch]'") from None

from torch.nn import functional

from opsin import nn, zoo
from opsin.apps.benchmark.layer_list import layered
from opsin.apps.benchmark.workers.pytorch import Network
from opsin.data import Batches, Dataset, augment
from opsin.nn.ema import WARM_UP
from opsin.training import TrainingPlan
from opsin.training.stages import initial_values, lr_scales, preprocessing_for, schedule_of

MODES = ("eager", "eager channels_last", "compile", "compile channels_last")
TRIED = 8
"""Steps by which the modes are compared, after two that are not counted."""
TESTED = 500
"""Images of the test part that are looked at together."""


class Run:
    """The network in one of the `MODES`, with its optimizer and the moving average of its variables."""

    def __init__(self, plan: TrainingPlan, data: Dataset, mode: str) -> None:
        layer = zoo.find(plan.network)(len(data.classes))
        network = Network(layered(plan.network, layer, data.shape, training=True).to_data())
        network.load(initial_values(layer, nn.trace(layer, data.shape), plan, data))
        rates = lr_scales(plan, layer)
        self.layout = torch.channels_last if "channels_last" in mode else torch.contiguous_format
        self.plan, self.steps = plan, 0
        self.module: Any = network.module.to(memory_format=self.layout)
        self.averaged = copy.deepcopy(self.module).eval()
        self.pairs = [self._learned(self.averaged), self._learned(self.module)]
        groups: dict[float, list[Any]] = {}
        for own, parameter in self.module.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(rates.get(network.names[own], 1.0), []).append(parameter)
        self.optimizer = torch.optim.SGD(
            [{"params": each, "factor": f, "weight_decay": plan.weight_decay / f} for f, each in groups.items()],
            lr=0.0, momentum=plan.momentum, nesterov=plan.nesterov, fused=True,
        )  # fmt: skip
        self.loss = torch.compile(self._loss, dynamic=False) if "compile" in mode else self._loss

    def step(self, images: Any, labels: Any, rate: float) -> float:
        """Learns from a batch; the loss before."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        given = torch.from_numpy(images).contiguous(memory_format=self.layout)
        loss = self.loss(given, torch.from_numpy(labels).long())
        loss.backward()
        self.optimizer.step()
        if self.plan.ema:
            kept = min(self.steps / (self.steps + WARM_UP), self.plan.ema)
            with torch.no_grad():
                torch._foreach_lerp_(*self.pairs, 1 - kept)
        self.steps += 1
        return float(loss.item())

    def accuracy(self, data: Dataset) -> float:
        """The share of the test part that the averaged network has right."""
        shown, right = preprocessing_for(self.plan, data), 0
        model = self.averaged if self.plan.ema else self.module.eval()
        with torch.inference_mode():
            for first in range(0, len(data.test), TESTED):
                chosen = np.arange(first, min(first + TESTED, len(data.test)))
                images = torch.from_numpy(shown.apply(data.test.pixels[chosen]))
                logits = model(images.contiguous(memory_format=self.layout))[0]
                right += int((logits.argmax(1).numpy() == data.test.labels[chosen]).sum())
        self.module.train()
        return right / len(data.test)

    def save(self, path: Path, curve: list[list[float]]) -> None:
        part = path.with_suffix(".part")
        state = {"module": self.module, "averaged": self.averaged, "optimizer": self.optimizer}
        values = {name: each.state_dict() for name, each in state.items()}
        torch.save(values | {"steps": self.steps, "curve": curve}, part)
        part.replace(path)

    def load(self, path: Path) -> list[list[float]]:
        """Load the state that `save` wrote; return the curve so far."""
        values = torch.load(path, weights_only=True)
        for name in ("module", "averaged", "optimizer"):
            getattr(self, name).load_state_dict(values[name])
        self.steps = values["steps"]
        curve: list[list[float]] = values["curve"]
        return curve

    def _loss(self, images: Any, labels: Any) -> Any:
        return functional.cross_entropy(self.module(images)[0], labels, label_smoothing=self.plan.label_smoothing)

    @staticmethod
    def _learned(module: Any) -> list[Any]:
        return [tensor.detach() for tensor in module.state_dict().values() if tensor.is_floating_point()]


def batches_of(plan: TrainingPlan, data: Dataset) -> Batches:
    """Those of Opsin's run."""
    (stage,), shown = plan.stages, preprocessing_for(plan, data)
    made = augment.policy_for(stage.augment, data.train, shown)
    assert not made.mixes and plan.class_weights is None and plan.clip_norm is None and plan.optimizer == "sgd"
    return Batches(data.train, shown, min(stage.batch, len(data.train)), plan.seed, made)


def fastest(plan: TrainingPlan, data: Dataset) -> tuple[str, dict[str, float]]:
    """The mode with the shortest step, and milliseconds a step of each that works here."""
    found: dict[str, float] = {}
    for mode in MODES:
        try:
            run, times = Run(plan, data, mode), []
            for images, labels in _first(batches_of(plan, data), TRIED + 2):
                begin = perf_counter()
                run.step(images, labels, 1e-3)
                times.append(1e3 * (perf_counter() - begin))
            found[mode] = float(np.median(times[2:]))
            print(f"PyTorch {mode}: {found[mode]:.1f} ms a step")
        except Exception as error:  # whatever a compiler may raise
            print(f"PyTorch {mode}: left out ({type(error).__name__})")
        torch.compiler.reset()
    return min(found, key=found.__getitem__), found


def train(
    plan: TrainingPlan, data: Dataset, options: Namespace, report: Callable[[Any], None], point: Callable[..., Any]
) -> dict[str, Any]:
    """Follows `plan`, with a `report` of the `point` (see `cifar10.Point`) after each epoch."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    saved, trials = Path(options.out) / "pytorch.pt", dict[str, float]()
    mode = options.mode
    if mode is None:
        mode, trials = fastest(plan, data)
    started, seconds = perf_counter(), 0.0
    run, batches, (stage,) = Run(plan, data, mode), batches_of(plan, data), plan.stages
    curve = run.load(saved) if saved.exists() else []
    for values in curve:
        report(point(int(values[0]), *values[1:]))
        seconds = 60 * values[1]
    rate = schedule_of(stage, stage.epochs * len(batches))
    for epoch in range(len(curve) + 1, stage.epochs + 1):
        total = 0.0
        for images, labels in batches.epoch(epoch):
            total += run.step(images, labels, rate(run.steps))
            if not math.isfinite(total):
                raise SystemExit(f"PyTorch's loss became NaN or infinite in epoch {epoch}")
        seconds += perf_counter() - started
        curve.append([epoch, seconds / 60, total / len(batches), run.accuracy(data)])
        run.save(saved, curve)
        report(point(epoch, *curve[-1][1:]))
        started = perf_counter()
    return {"mode": mode, "trials": trials, "threads": torch.get_num_threads()}


def _first(batches: Batches, count: int) -> Iterator[Any]:
    epoch = batches.epoch(1)
    try:
        for _ in range(min(count, len(batches))):
            yield next(epoch)  # type: ignore[call-overload]
    finally:
        epoch.close()  # type: ignore[attr-defined]
