"""Opsin."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import opsin
from opsin import nn, zoo
from opsin.apps.benchmark.layer_list import deterministic
from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, serve
from opsin.backends.native import compile


def channels_last(images: Any) -> Any:
    """Return images N×C×H×W that are N×H×W×C in memory, like those that Opsin loads."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class OpsinSession:
    """A compiled program. Images and results are NumPy arrays."""

    def __init__(self, job: BenchmarkJob) -> None:
        network, shape = deterministic(zoo.create(job.network["name"])), tuple(job.network["input"])
        if job.task == "train":
            graph = nn.training_graph(network, shape, nn.optimizers.SGD(momentum=job.momentum))
        else:
            graph = nn.trace(network, shape)
        begin = time.perf_counter()
        self.program = compile(graph, job.batch, job.threads)
        self.compiled = time.perf_counter() - begin
        weights, inputs = job.arrays()
        names = self.program.graph.variables
        self.program.load_state({name: values for name, values in weights.items() if name in names})
        self.inputs: dict[str, Any] = {"inputs": channels_last(inputs["inputs"])}
        if job.task == "train":
            self.inputs |= {"labels": inputs["labels"].astype(np.int32), "learning_rate": job.rate}

    def step(self) -> Arrays:
        return self.program.run(**self.inputs)

    def results(self) -> Arrays:
        first = self.step()
        if "logits" in first:
            return first
        return {"losses": np.array([first["loss"], self.step()["loss"]])}

    def info(self) -> dict[str, Any]:
        return {"version": opsin.__version__, "compiled": self.compiled}


if __name__ == "__main__":
    serve(OpsinSession)
