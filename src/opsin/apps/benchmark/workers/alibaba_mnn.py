"""MNN with its Module API and full precision. Its own converter reads the ONNX file.

The converter's Python interface (`MNN.tools`) sends usage statistics, so the extension module is called directly.
"""

from __future__ import annotations

import os
from typing import Any

import _tools
import MNN
import numpy as np
from MNN import expr, nn

from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, named_outputs, serve


class Mnn:
    """A converted network."""

    def __init__(self, job: BenchmarkJob) -> None:
        path = f"{job.folder}/{os.getpid()}.mnn"
        _tools.mnnconvert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", job.onnx, "--MNNModel", path, "--bizCode", "bench"]
        )
        settings = {"backend": "CPU", "numThread": job.threads, "precision": "high", "power": "high"}
        manager = nn.create_runtime_manager((settings,))
        outputs = [f"output{number}" for number in range(len(job.network["outputs"]))]
        self.module = nn.load_module_from_file(
            path, ["inputs"], outputs, runtime_manager=manager, shape_mutable=False, rearrange=True
        )
        _, inputs = job.arrays()
        images = np.ascontiguousarray(inputs["inputs"])
        self.images = expr.placeholder(list(images.shape), expr.NCHW, expr.float)
        self.images.write(images)

    def step(self) -> Any:
        return [output.read() for output in self.module.forward([self.images])]

    def results(self) -> Arrays:
        return named_outputs(map(np.array, self.step()))

    def info(self) -> dict[str, Any]:
        return {"version": MNN.version()}


if __name__ == "__main__":
    serve(Mnn)
