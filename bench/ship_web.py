"""How fast are WebAssembly modules of Opsin next to ONNX Runtime Web? In node, one thread, one image, float32.

    python bench/ship_web.py MODULES [--networks mlperf_tiny_resnet8 mobilenet_v2] [--seconds 10] [--json FILE]

MODULES is a folder `node_modules` with onnxruntime-web (`npm install onnxruntime-web`). The calls take turns one by
one, so that a slow phase of the machine affects both; the times are in milliseconds, median and least. The ratio is
that of the medians. Weights are random; the ONNX file is the one that `opsin bench` gives to ONNX Runtime.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.apps.benchmark.cases import INFER, Case, prepare
from opsin.apps.benchmark.layer_list import deterministic
from opsin.backends.portable import portable_program
from opsin.backends.wasm import program_module

SCRIPT = Path(__file__).with_suffix(".mjs")


def prepared(name: str, folder: Path) -> dict[str, Any]:
    """Write module, weights, ONNX file and input of a network, and return its settings for the script."""
    shape = zoo.find(name).input_shape
    (folder / name).mkdir()
    inputs = prepare(Case(name, INFER, 1, shape, 1), folder / name)
    graph = nn.trace(deterministic(zoo.create(name)), shape)
    with np.load(inputs.weights) as weights:
        program = portable_program(graph, nn.initial_state(graph, 0) | dict(weights))
    module = program_module(program)
    paths = {key: folder / name / key for key in ("code", "constants", "values")}
    paths["code"].write_bytes(module.code)
    paths["constants"].write_bytes(program.constants)
    with np.load(inputs.inputs) as arrays:
        arrays["inputs"].tofile(paths["values"])
    files = {key: str(path) for key, path in paths.items()}
    where = {"at": module.constants, "input": module.inputs["inputs"].address}
    return {"name": name, "shape": (1, *shape), "onnx": str(inputs.onnx), **files, **where}


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("modules", type=Path, help="the folder node_modules")
    arguments.add_argument("--networks", nargs="+", default=["mlperf_tiny_resnet8", "mobilenet_v2"])
    arguments.add_argument("--seconds", type=float, default=10, help="for each network")
    options = arguments.parse_args()
    record = begin(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        networks = [prepared(name, folder) for name in options.networks]
        settings = {"modules": str(options.modules.resolve()), "seconds": options.seconds, "networks": networks}
        (folder / "settings.json").write_text(json.dumps(settings))
        printed = subprocess.run(["node", SCRIPT, folder / "settings.json"], check=True, stdout=subprocess.PIPE)
    rows = []
    for each in json.loads(printed.stdout):
        ours, theirs = each["times"]["Opsin"], each["times"]["ONNX Runtime Web"]
        cells = [f"{median(times):.3f} ({min(times):.3f})" for times in (ours, theirs)]
        rows.append([each["network"], *cells, f"{median(theirs) / median(ours):.2f}", f"{min(theirs) / min(ours):.2f}"])
    options.modules = "node_modules"
    heads = ["network", "Opsin, ms", "ONNX Runtime Web, ms", "ratio of medians", "of the least"]
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
