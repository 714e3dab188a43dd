"""Pages of `opsin see` for every network of the zoo and for ONNX files: their size, and whether looking changes a bit.

    python bench/see_zoo.py [--networks lenet5 …] [--onnx FILE …] [--workers 2] [--json FILE]

Each network has random weights and sees an image of noise at the size of its paper. The table has the processor time of
all threads to the page, the peak memory of the process, the size of the page, and whether the network's outputs are
bit-identical with and without all extra outputs: with Winograd's algorithm as in predictions, and without. The exit
code is 1 if a page fails, is above 10 MB, or a bit differs.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin import nn, zoo
from opsin.backends import native
from opsin.backends.base import load_known
from opsin.data import Preprocessing
from opsin.explain.observer import Observer
from opsin.ir import Graph
from opsin.model import Model

State = dict[str, np.ndarray[Any, Any]]
MAX_BYTES = 10_000_000
NOISE_IMAGES = 2
NICENESS = 3
HEADS = ("network", "processor time", "memory", "size", "bit-identical", "bit-identical without Winograd's algorithm")


def random_model(name: str) -> Model:
    """A network of the zoo with random weights, and statistics of batch normalization from a few images of noise."""
    entry = zoo.find(name)
    network = entry()
    graph = nn.trace(network, entry.input_shape)
    task = opsin.planning.task_of(name, entry.classes, entry.input_shape)
    channels, height, width = entry.input_shape
    each = channels // entry.frames
    preprocessing = Preprocessing(each, height, width, (0.45,) * each, (0.25,) * each, frames=entry.frames)
    state = nn.initial_state(graph, 1)
    return Model(
        name, graph, state | statistics(network, entry.input_shape, state), preprocessing, task, nn.layer_kinds(network)
    )


def statistics(network: nn.Layer, shape: tuple[int, int, int], state: State) -> State:
    """Return running statistics of batch normalization that are those of a few images of noise.

    With the initial ones, the values of a network of a thousand layers grow beyond float32.
    """
    training = nn.trace(network, shape, training=True)
    # Auxiliary classifiers are part of the training alone.
    updates = {name: tensor for name, tensor in training.updates.items() if "running" in name and name in state}
    if not updates:
        return {}
    program = native.compile(Graph(training.inputs, {}, updates), NOISE_IMAGES)
    noise = np.random.default_rng(2).normal(size=(NOISE_IMAGES, *shape)).astype(np.float32)
    # An update is old + momentum · (value - old): from an old value of 0, and of 1, both others follow.
    results = []
    for old in (0, 1):
        load_known(program, state)
        program.load_state({name: np.full_like(state[name], old) for name in updates})
        program.run(inputs=noise)
        results.append(program.state())
    return {name: results[0][name] / (1 - results[1][name] + results[0][name]) for name in updates}


def is_unchanged(model: Model, pixels: np.ndarray[Any, np.dtype[np.uint8]], exact: bool) -> bool:
    """Whether the outputs have equal bits alone, and next to the output of every step."""
    observer = Observer(model, exact=exact)
    names = list(model.graph.outputs)
    alone = observer.run(pixels, [model.graph.outputs[name] for name in names])
    stages = opsin.explain.stages.find_stages(model.graph, model.layers)
    steps = [step.output for stage in stages for step in stage.steps]
    together = observer.run(pixels, [*(model.graph.outputs[name] for name in names), *steps])
    return all(a.tobytes() == b.tobytes() for a, b in zip(alone, together, strict=False))


def measure(model: Model, name: str) -> dict[str, Any]:
    """The figures of one network."""
    shape = model.preprocessing.input_shape
    pixels = np.random.default_rng(1).integers(0, 256, (1, *shape), dtype=np.uint8)
    image = pixels[0][: model.preprocessing.channels]
    start, used = perf_counter(), process_time()
    page = opsin.see(model, image).page
    seconds, used = perf_counter() - start, process_time() - used
    return {
        "network": name,
        "seconds": round(seconds, 2),
        "processor seconds": round(used, 2),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes": len(page.html.encode()),
        "views": sorted(page.views),
        "unchanged": is_unchanged(model, pixels, exact=False),
        "unchanged exactly": is_unchanged(model, pixels, exact=True),
    }


def measured(name: str) -> dict[str, Any]:
    """The figures of a network of the zoo or of an ONNX file, or why there is no page."""
    try:
        return measure(opsin.import_onnx(name) if name.endswith(".onnx") else random_model(name), Path(name).name)
    except Exception as error:  # a page that fails in any way is a row of the table
        return {"network": Path(name).name, "error": f"{type(error).__name__}: {error}"}


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="*", default=zoo.names(), metavar="NAME")
    command.add_argument("--onnx", nargs="*", default=[], metavar="FILE")
    command.add_argument("--workers", type=int, default=1, help="processes, each with its own network (default: 1)")
    options = command.parse_args()
    record = begin(options)
    names = [*options.networks, *options.onnx]
    results = record["results"] = []
    # A process for each network: its memory is returned, and a network that needs too much fails alone.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, context, initializer=begin_worker, max_tasks_per_child=1) as pool:
        for result in pool.map(measured, names):
            results.append(result)
            print(result, file=sys.stderr, flush=True)
    finish(
        options,
        record | print_table(HEADS, table_rows(results, {Path(name).name for name in options.onnx})),
    )
    return 0 if all(is_fine(result) for result in results) else 1


def begin_worker() -> None:
    """Let other programs go first."""
    os.nice(NICENESS)


def table_rows(results: list[dict[str, Any]], files: set[str]) -> list[list[str]]:
    """Return a line for each network, and one for all ONNX files together, with the largest figures."""
    rows = [row(result) for result in results if result["network"] not in files]
    imported = [result for result in results if result["network"] in files]
    if pages := [result for result in imported if "error" not in result]:
        rows.append(row({
            "network": f"{len(pages)} of {len(imported)} ONNX files",
            **{key: max(result[key] for result in pages) for key in ("processor seconds", "memory", "bytes")},
            **{key: all(result[key] for result in pages) for key in ("unchanged", "unchanged exactly")},
        }))  # fmt: skip
    return rows


def row(result: dict[str, Any]) -> list[str]:
    """A line of the table."""
    if "error" in result:
        return [result["network"], result["error"], *[""] * (len(HEADS) - 2)]
    answers = ["yes" if result[key] else "no" for key in ("unchanged", "unchanged exactly")]
    seconds, size = f"{result['processor seconds']:.0f} s", f"{result['bytes'] / 1e6:.1f} MB"
    return [result["network"], seconds, f"{result['memory'] / 1e9:.1f} GB", size, *answers]


def is_fine(result: dict[str, Any]) -> bool:
    """Whether a page was made that is small enough, and nothing changed."""
    return (
        "error" not in result and result["bytes"] <= MAX_BYTES and result["unchanged"] and result["unchanged exactly"]
    )


if __name__ == "__main__":
    sys.exit(main())
