"""How fast are WebAssembly modules of Opsin next to ONNX Runtime Web, and in int8? In node, one thread, one image.

    python bench/ship_web.py MODULES [--networks mlperf_tiny_resnet8 mobilenet_v2] [--seconds 10] [--json FILE]
    python bench/ship_web.py [--networks …] [--seconds 10] [--json FILE]        int8 next to float32

MODULES is a folder `node_modules` with onnxruntime-web (`npm install onnxruntime-web`), to compare in float32. The
calls take turns one by one, so that a slow phase of the machine affects both; the times are in milliseconds, median and
least. The ratio is that of the medians; of int8, also the quartiles of the ratios of successive calls. Layers whose
inputs have 16 bits multiply twice in int8, so the record counts the MACs of both programs, and has these layers as
"multiplied_twice". Weights are random; the ONNX file is the one that `opsin bench` gives to ONNX Runtime.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from untrained import observed, untrained

from opsin import nn, zoo
from opsin.apps.benchmark.cases import INFER, Case, prepare
from opsin.apps.benchmark.layer_list import deterministic
from opsin.backends.portable import PortableProgram, portable_program
from opsin.backends.wasm import program_module
from opsin.export.precision import FLOAT32, network_of
from opsin.model.int8 import INT8

SCRIPT = Path(__file__).with_suffix(".mjs")


def prepared(name: str, folder: Path) -> dict[str, Any]:
    """Write module, weights, ONNX file and input of a network, and return its settings for the script."""
    shape = zoo.find(name).input_shape
    (folder / name).mkdir()
    inputs = prepare(Case(name, INFER, 1, shape, 1), folder / name)
    graph = nn.trace(deterministic(zoo.create(name)), shape)
    with np.load(inputs.weights) as weights:
        program = portable_program(graph, nn.initial_state(graph, 0) | dict(weights))
    with np.load(inputs.inputs) as arrays:
        ours = written(program, arrays["inputs"], folder / name)
    return {"name": name, "modules": {"Opsin": ours}, "shape": (1, *shape), "onnx": str(inputs.onnx)}


def in_both_precisions(name: str, folder: Path) -> dict[str, Any]:
    """Write the modules of a network in float32 and in int8, and return the settings for the script."""
    model, modules, macs = untrained(name), {}, {}
    observed(model)
    pixels = np.random.default_rng(1).integers(0, 256, (1, *model.preprocessing.shape), np.uint8)
    for precision in (FLOAT32, INT8):
        network = network_of(model, precision)
        place = folder / f"{name} {precision}"
        place.mkdir()
        program = portable_program(network.graph, network.state)
        modules[precision] = written(program, network.inputs(pixels), place)
        macs[precision] = macs_of(program)
    return {"name": name, "modules": modules, "macs": macs}


def macs_of(program: PortableProgram) -> Counter[str]:
    """Return the MACs of each layer."""
    macs = Counter[str]()
    for call in program.calls:
        macs[call.scope] += call.macs
    return macs


def written(program: PortableProgram, values: np.ndarray, folder: Path) -> dict[str, Any]:
    """Write module, weights and input of a program, and return where they are."""
    module = program_module(program)
    contents = {"code": module.code, "constants": program.constants, "values": values.tobytes()}
    for key, content in contents.items():
        (folder / key).write_bytes(content)
    files = {key: str(folder / key) for key in contents}
    return {**files, "at": module.constants, "input": module.inputs["inputs"].address}


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("modules", type=Path, nargs="?", help="the folder node_modules")
    arguments.add_argument("--networks", nargs="+", default=["mlperf_tiny_resnet8", "mobilenet_v2"])
    arguments.add_argument("--seconds", type=float, default=10, help="for each network")
    options = arguments.parse_args()
    record = begin(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare_network = prepared if options.modules else in_both_precisions
        networks = [prepare_network(name, folder) for name in options.networks]
        modules = str(options.modules.resolve()) if options.modules else None
        settings = {"modules": modules, "seconds": options.seconds, "networks": networks}
        (folder / "settings.json").write_text(json.dumps(settings))
        printed = subprocess.run(["node", SCRIPT, folder / "settings.json"], check=True, stdout=subprocess.PIPE)
    results = json.loads(printed.stdout)
    table = compared_with_others(results) if options.modules else compared_in_int8(results, networks)
    options.modules = "node_modules" if options.modules else None
    finish(options, record | table)


def compared_with_others(results: list[Any]) -> dict[str, Any]:
    rows = []
    for each in results:
        ours, theirs = each["times"]["Opsin"], each["times"]["ONNX Runtime Web"]
        ratios = [f"{median(theirs) / median(ours):.2f}", f"{min(theirs) / min(ours):.2f}"]
        rows.append([each["network"], *map(shown, (ours, theirs)), *ratios])
    heads = ["network", "Opsin, ms", "ONNX Runtime Web, ms", "ratio of medians", "of the least"]
    return print_table(heads, rows)


def compared_in_int8(results: list[Any], networks: list[Any]) -> dict[str, Any]:
    rows, twice = [], {}
    for each, network in zip(results, networks, strict=True):
        macs = network["macs"]
        twice[network["name"]] = [layer for layer, count in macs[FLOAT32].items() if 0 < 2 * count == macs[INT8][layer]]
        whole, real = each["times"][INT8], each["times"][FLOAT32]
        low, _, high = quantiles([a / b for a, b in zip(real, whole, strict=True)], n=4)
        ratio = f"{median(real) / median(whole):.2f} ({low:.2f} to {high:.2f})"
        counts = [f"{macs[precision].total() / 1e6:.1f}" for precision in (FLOAT32, INT8)]
        rows.append([each["network"], *map(shown, (real, whole)), ratio, f"{min(real) / min(whole):.2f}", *counts])
    heads = ["network", "float32, ms", "int8, ms", "ratio of medians (quartiles)", "of the least"]
    table = print_table([*heads, "million MACs, float32", "int8"], rows)
    return {**table, "multiplied_twice": twice}


def shown(times: list[float]) -> str:
    """Return the median, and the least in brackets."""
    return f"{median(times):.3f} ({min(times):.3f})"


if __name__ == "__main__":
    main()
