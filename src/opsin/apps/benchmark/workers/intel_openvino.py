"""OpenVINO with its latency hint, in float32, bfloat16 or int8, and with inputs that are not copied.

In int8 it reads the file that ONNX Runtime's tool has written.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint

from opsin.apps.benchmark.workers.worker import QDQ_FILE, Arrays, BenchmarkJob, named_outputs, serve


class OpenVino:
    """A compiled network."""

    def __init__(self, job: BenchmarkJob) -> None:
        settings = {
            hint.performance_mode(): hint.PerformanceMode.LATENCY,
            hint.inference_precision(): openvino.Type.bf16 if job.mode.endswith("bf16") else openvino.Type.f32,
            properties.inference_num_threads(): job.threads,
            properties.intel_cpu.denormals_optimization(): True,
        }
        core, file = openvino.Core(), job.onnx
        if job.mode.endswith("int8"):
            file = os.path.join(job.folder, QDQ_FILE)
            if not os.path.exists(file):
                raise FileNotFoundError("the network in int8 is written by ONNX Runtime, which was not available")
        model = core.compile_model(core.read_model(file), "CPU", settings)
        self.request = model.create_infer_request()
        _, inputs = job.arrays()
        self.images = openvino.Tensor(np.ascontiguousarray(inputs["inputs"]), shared_memory=True)
        self.request.set_input_tensor(self.images)

    def step(self) -> Any:
        self.request.infer()
        return [tensor.data for tensor in self.request.output_tensors]

    def results(self) -> Arrays:
        return named_outputs(map(np.array, self.step()))

    def info(self) -> dict[str, Any]:
        return {"version": openvino.__version__.split("-")[0]}


if __name__ == "__main__":
    serve(OpenVino)
