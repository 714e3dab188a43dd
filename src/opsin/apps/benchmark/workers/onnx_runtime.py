"""ONNX Runtime with all graph optimisations, all threads within an operator, and denormals as zero."""

from __future__ import annotations

from typing import Any

import onnxruntime

from opsin.apps.benchmark.workers.worker import Arrays, BenchmarkJob, named_outputs, serve


class OnnxRuntime:
    """An inference session."""

    def __init__(self, job: BenchmarkJob) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self.session = onnxruntime.InferenceSession(job.onnx, options, providers=["CPUExecutionProvider"])
        _, inputs = job.arrays()
        self.inputs = {self.session.get_inputs()[0].name: inputs["inputs"]}

    def step(self) -> Any:
        return self.session.run(None, self.inputs)

    def results(self) -> Arrays:
        return named_outputs(self.step())

    def info(self) -> dict[str, Any]:
        return {"version": onnxruntime.__version__}


if __name__ == "__main__":
    serve(OnnxRuntime)
