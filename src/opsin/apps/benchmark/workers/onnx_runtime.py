"""ONNX Runtime with all graph optimisations, all threads within an operator, and denormals as zero.

In int8, its own tool quantizes the network: weights by channel, and activations as unsigned bytes, which it multiplies
fastest on x86. It can write two formats.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import onnxruntime

from opsin.apps.benchmark.workers.worker import QDQ_FILE, Arrays, BenchmarkJob, named_outputs, serve

with suppress(ImportError):  # it needs the package onnx
    from onnxruntime import quantization as tool


class Images:
    """What the tool asks for images: a dictionary of inputs, then None."""

    def __init__(self, name: str, images: Any) -> None:
        self.batches: Iterator[Any] = iter([{name: images}])

    def get_next(self) -> Any:
        return next(self.batches, None)


def quantized(job: BenchmarkJob, images: Any) -> str:
    """Write the network in the format that the mode begins with, and return the path."""
    if "tool" not in globals():
        raise ImportError("int8 needs the package onnx in this interpreter")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # folds normalizations
    options.optimized_model_filepath = os.path.join(job.folder, "folded.onnx")
    session = onnxruntime.InferenceSession(job.onnx, options, providers=["CPUExecutionProvider"])
    kind = job.mode.split()[0]
    path = os.path.join(job.folder, QDQ_FILE if kind == "QDQ" else f"{kind}.onnx")
    tool.quantize_static(
        options.optimized_model_filepath, path, Images(session.get_inputs()[0].name, images), per_channel=True,
        quant_format=tool.QuantFormat[kind], activation_type=tool.QuantType.QUInt8, weight_type=tool.QuantType.QInt8,
    )  # fmt: skip
    return path


class OnnxRuntime:
    """An inference session."""

    def __init__(self, job: BenchmarkJob) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        _, inputs = job.arrays()
        file = quantized(job, inputs["inputs"]) if job.mode.endswith("int8") else job.onnx
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.inputs = {self.session.get_inputs()[0].name: inputs["inputs"]}

    def step(self) -> Any:
        return self.session.run(None, self.inputs)

    def results(self) -> Arrays:
        return named_outputs(self.step())

    def info(self) -> dict[str, Any]:
        return {"version": onnxruntime.__version__}


if __name__ == "__main__":
    serve(OnnxRuntime)
