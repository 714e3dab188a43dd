"""Opsin."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import opsin
from opsin import nn, zoo
from opsin.apps.benchmark.layer_list import deterministic
from opsin.apps.benchmark.objective import objective
from opsin.apps.benchmark.precision import FLOAT32, INT8, precision_of
from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, named_outputs, serve
from opsin.backends.native import compile
from opsin.quantization.quantize import calibrated, quantize_graph


def channels_last(images: Any) -> Any:
    """Return images N×C×H×W that are N×H×W×C in memory, like those that Opsin loads."""
    if images.ndim != 4:
        return images
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class OpsinSession:
    """A compiled program. Images and results are NumPy arrays."""

    def __init__(self, job: BenchmarkJob) -> None:
        network, shape = deterministic(zoo.create(job.network["name"])), tuple(job.network["input"])
        self.training = job.task == "train"
        if self.training:
            graph = nn.training_graph(
                network, shape, nn.optimizers.SGD(momentum=job.momentum), objective(job.network["loss"])
            )
        else:
            graph = nn.trace(network, shape)
        weights, inputs = job.arrays()
        precision = precision_of(job.mode)
        if precision == INT8:
            known = {name: values for name, values in weights.items() if name in graph.variables}
            state = nn.initial_state(graph, 0) | known
            graph, weights = quantize_graph(graph, state, calibrated(graph, state, inputs["inputs"], compile))
            precision = FLOAT32  # of what is not computed in whole numbers
        begin = time.perf_counter()
        self.program = compile(graph, job.batch, job.threads, precision=precision)
        self.compiled = time.perf_counter() - begin
        names = self.program.graph.variables
        self.program.load_state({name: values for name, values in weights.items() if name in names})
        self.inputs: dict[str, Any] = {"inputs": channels_last(inputs["inputs"])}
        if self.training:
            targets = {name: channels_last(values) for name, values in inputs.items() if name != "inputs"}
            self.inputs |= targets | {"learning_rate": job.rate}

    def step(self) -> Arrays:
        return self.program.run(**self.inputs)

    def results(self) -> Arrays:
        first = self.step()
        if self.training:
            return {"losses": np.array([first["loss"], self.step()["loss"]])}
        return named_outputs(first[name] for name in self.program.graph.outputs)

    def info(self) -> dict[str, Any]:
        return {"version": opsin.__version__, "compiled": self.compiled}


if __name__ == "__main__":
    serve(OpsinSession)
