"""MNN, by its Module API, with full precision; the ONNX file goes through MNN's own converter before.

The converter's Python front (`MNN.tools`) reports its use over the network; here its extension module is called itself.
"""

from __future__ import annotations

import os
from typing import Any

import _tools
import MNN
import numpy as np
from MNN import expr, nn

from opsin.apps.benchmark.workers.worker import Arrays, Job, serve


class Mnn:
    def __init__(self, job: Job) -> None:
        path = f"{job.folder}/{os.getpid()}.mnn"
        _tools.mnnconvert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", job.onnx, "--MNNModel", path, "--bizCode", "bench"]
        )
        settings = {"backend": "CPU", "numThread": job.threads, "precision": "high", "power": "high"}
        manager = nn.create_runtime_manager((settings,))
        *_, logits = job.network["outputs"]
        self.module = nn.load_module_from_file(
            path, ["v0"], [f"v{logits[0]}"], runtime_manager=manager, shape_mutable=False, rearrange=True
        )
        _, inputs = job.arrays()
        images = np.ascontiguousarray(inputs["inputs"])
        self.images = expr.placeholder(list(images.shape), expr.NCHW, expr.float)
        self.images.write(images)

    def step(self) -> Any:
        return self.module.forward(self.images).read()

    def results(self) -> Arrays:
        return {"logits": np.array(self.step())}

    def facts(self) -> dict[str, Any]:
        return {"version": MNN.version()}


if __name__ == "__main__":
    serve(Mnn)
