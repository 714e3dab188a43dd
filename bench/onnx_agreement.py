"""Networks of torchvision, exported to ONNX by both of PyTorch's exporters: Opsin's answers against ONNX Runtime's.

    pip install torch torchvision onnx onnxscript onnxruntime
    python bench/onnx_agreement.py [--networks alexnet resnet18 …] [--exporters script dynamo] [--size 224] [--fixed]

Every network has seeded random weights and batch statistics, and sees the same two random images in both. The
difference is the largest of all outputs, as a share of their range; at most 1e-3 is wanted. `--fixed` exports with a
fixed batch of one image, of which Opsin is then given two. Exit code 1 where a network differs more, or is not read.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin.backends import native
from opsin.base.errors import OpsinError
from opsin.interop import onnx

try:
    import onnxruntime
    import torch
    import torchvision
except ImportError as error:
    sys.exit(f"{error}; this script compares with: pip install torch torchvision onnx onnxscript onnxruntime")

NETWORKS = (
    "alexnet", "vgg11", "vgg11_bn", "googlenet", "inception_v3", "resnet18", "resnet50", "resnext50_32x4d",
    "wide_resnet50_2", "densenet121", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "shufflenet_v2_x1_0", "efficientnet_b0", "mnasnet1_0", "regnet_y_400mf",
)  # fmt: skip
LIMIT = 1e-3
IMAGES = 2


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME")
    command.add_argument("--exporters", nargs="+", default=("script", "dynamo"), choices=("script", "dynamo"))
    command.add_argument("--size", type=int, default=224, metavar="PIXELS")
    command.add_argument("--fixed", action="store_true")
    options = command.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    record = begin(options)
    results = []
    for result in compare(options):
        results.append(result)
        print(f"{result['network']} {result['exporter']}: {result.get('error', result['difference'])}", file=sys.stderr)
    record["results"] = results
    rows = [
        (r["network"], r["exporter"], str(r["opset"]), f"{r['parameters']:,}", f"{r['import']:.2f} s", r["difference"])
        for r in results
    ]
    table = print_table(("network", "exporter", "opset", "parameters", "import", "difference"), rows)
    finish(options, record | table)
    sys.exit(not all(r["agrees"] for r in results))


def compare(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for name in options.networks:
        network = seeded(name)
        size = max(options.size, 299) if name == "inception_v3" else options.size
        images = torch.randn(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(1))
        for exporter in options.exporters:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "network.onnx"
                export(network, images[:1] if options.fixed else images, path, exporter, options.fixed)
                yield {"network": name, "exporter": exporter, **measure(path, images.numpy(), options.fixed)}


def seeded(name: str) -> torch.nn.Module:
    """The network with random weights, and statistics unlike those that batch normalization begins with."""
    torch.manual_seed(0)
    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, **more).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def export(network: torch.nn.Module, images: torch.Tensor, path: Path, exporter: str, fixed: bool) -> None:
    if exporter == "script":
        free = None if fixed else {"images": {0: "batch"}}
        torch.onnx.export(
            network,
            (images,),
            path,
            dynamo=False,
            input_names=["inputs"],
            output_names=["logits"],
            dynamic_axes=free,
        )
    else:
        shapes = None if fixed else ({0: torch.export.Dim("batch")},)
        torch.onnx.export(network, (images,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)


def measure(path: Path, images: np.ndarray[Any, Any], fixed: bool) -> dict[str, Any]:
    """Opsin's difference from ONNX Runtime on one file; with a `fixed` batch the latter sees image by image."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: part})[0] for part in (np.split(images, len(images)) if fixed else [images])]
    expected = np.concatenate(parts)
    began = perf_counter()
    try:
        network = onnx.read(path)
    except OpsinError as error:
        return {
            "opset": 0,
            "parameters": 0,
            "import": 0.0,
            "difference": "not read",
            "error": str(error),
            "agrees": False,
        }
    seconds = perf_counter() - began
    program = native.compile(network.graph, len(images))
    program.load_state(network.state)
    found = next(iter(program.run(inputs=images).values()))
    difference = float(np.abs(found - expected).max() / np.ptp(expected))
    return {
        "opset": network.opset,
        "parameters": sum(network.state[name].size for name in network.graph.parameters),
        "import": seconds,
        "difference": f"{difference:.1e}",
        "agrees": difference <= LIMIT,
    }


if __name__ == "__main__":
    main()
