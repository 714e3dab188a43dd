"""Whether steps take as long on trained and on denormal-ridden numbers as on random ones.

    python bench/values.py [--networks lenet5:64 …] [--images PHOTOS] [--rounds 7] [--seconds 0.3] [--json FILE]

Each network takes training steps and predicts, in turns within one process, on

- random: its first weights, images of noise;
- trained: the weights after `--steps` steps on images, and these images (PHOTOS is anything that `opsin train`
  takes; without it the built-in digits are enlarged), so that activations are as sparse as training makes them;
- denormals: the trained weights and images, where half of all filters, half of what is left, half of the scales of
  normalizations, half of the optimizer's memory and half of all pixels are between 1e-41 and 1e-39, or between 1e-21
  and 1e-19, so that their products are.

Steps use a learning rate of zero, so that the numbers stay as they are. Each is compared with eager PyTorch in its
default mode (with `--flush` it flushes denormals, too). Opsin flushes them, so that the same numbers with zeros for
denormals have to give equal losses, logits and variables. The exit code is 1 where they do not, where something is not
finite, or where times differ from those on random numbers by more than a tenth.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Step, begin, finish, interleaved, parser, print_table
from material import Array, images, trained_state

from opsin import nn, zoo
from opsin.apps.benchmark.cases import INFER, TRAIN
from opsin.apps.benchmark.layer_list import deterministic, layer_list
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import Native, compile
from opsin.ir import Graph

try:
    import torch

    from opsin.apps.benchmark.workers.pytorch import Network
except ImportError:
    torch = None

RANDOM, TRAINED, DENORMALS = "random", "trained", "denormals"
LIMIT = 1.1
LEAST = float(np.finfo(np.float32).tiny)
"""What is smaller is a denormal."""


class Case:
    """A network with its graphs and its numbers of every kind."""

    def __init__(self, text: str, options: Any) -> None:
        self.name, _, batch = text.partition(":")
        self.batch, self.threads = int(batch), options.threads
        entry = zoo.find(self.name)
        self.shape = entry.input_shape
        network = deterministic(zoo.create(self.name))
        self.description = layer_list(self.name, network, self.shape, training=True)
        optimizer = nn.optimizers.SGD(momentum=0.9)
        self.graphs = {TRAIN: nn.training_graph(network, self.shape, optimizer), INFER: nn.trace(network, self.shape)}
        graph, rng = self.graphs[TRAIN], np.random.default_rng(0)
        x, self.labels = images(options.images, self.batch, self.shape)
        noise = rng.standard_normal(x.shape, np.float32)
        trained = trained_state(graph, options.images, self.shape, options.steps, self.threads)
        self.numbers: dict[str, tuple[dict[str, Array], Array]] = {
            RANDOM: (dict(nn.initial_state(graph, seed=0)), noise),
            TRAINED: (trained, x),
            DENORMALS: (ridden_state(graph, trained, rng), ridden(x, rng)),
        }

    def program(self, task: str, kind: str, zeros: bool = False) -> tuple[Native, dict[str, Any]]:
        """A program with its variables, and its inputs; with `zeros` instead of denormals."""
        graph, (state, x) = self.graphs[task], self.numbers[kind]
        change: Callable[[Array], Array] = flushed if zeros else np.asarray
        program = compile(graph, self.batch, self.threads)
        program.load_state({name: change(state[name]) for name in program.graph.variables})
        inputs: dict[str, Any] = {"inputs": change(x)}
        return program, inputs | ({"labels": self.labels, "learning_rate": 0.0} if task == TRAIN else {})


def tiny(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Denormals, and numbers whose products are."""
    powers = np.where(rng.random(shape) < 0.5, rng.uniform(-41, -39, shape), rng.uniform(-21, -19, shape))
    return (10.0**powers * rng.choice([-1.0, 1.0], shape)).astype(np.float32)


def ridden(values: Array, rng: np.random.Generator) -> Array:
    """`values`, half of them replaced; of weights also whole filters."""
    whole = rng.random((values.shape[0], *[1] * (values.ndim - 1))) < (0.5 if values.ndim > 1 else 0)
    return np.where(whole | (rng.random(values.shape) < 0.5), tiny(values.shape, rng), values).astype(np.float32)


def ridden_state(graph: Graph, state: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Parameters and the optimizer's memory; running statistics stay."""
    learnt = {name for name in state if graph.variables[name].node.attrs["trainable"] or name.startswith("optimizer.")}
    return {name: ridden(value, rng) if name in learnt and value.ndim else value for name, value in state.items()}


def flushed(values: Array) -> Array:
    return np.where(np.abs(values) < LEAST, 0, values).astype(values.dtype) if values.dtype.kind == "f" else values


def same_as_zeros(case: Case, task: str) -> bool:
    """Whether denormals count as zeros: in results, and in variables after two runs; and all of it is finite."""
    found = []
    for zeros in (False, True):
        program, inputs = case.program(task, DENORMALS, zeros)
        results = [program.run(**inputs) for _ in range(2)]
        found.append({**program.state(), **{f"{n} {k}": v for n, r in enumerate(results) for k, v in r.items()}})
    return all(
        np.array_equal(flushed(value), flushed(found[1][name])) and np.isfinite(value).all()
        for name, value in found[0].items()
    )


def torch_step(case: Case, task: str, kind: str) -> Step:
    """The same in PyTorch."""
    state, x = case.numbers[kind]
    network = Network(case.description.to_data())
    network.load({name: np.array(state[name]) for name in network.names.values()})
    inputs, labels = torch.from_numpy(np.array(x)), torch.from_numpy(case.labels.astype(np.int64))
    optimizer = torch.optim.SGD(network.module.parameters(), 0.0, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network.module(inputs)[0], labels).backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode():
            network.module(inputs)

    network.module.train(task == TRAIN)
    return train if task == TRAIN else infer


def measure(case: Case, task: str, options: Any) -> dict[str, Any]:
    """Times of all kinds in turns, and whether denormals counted as zeros."""
    steps: dict[str, Step] = {}
    for kind in case.numbers:
        program, inputs = case.program(task, kind)
        steps[f"opsin {kind}"] = lambda program=program, inputs=inputs: program.run(**inputs)  # type: ignore[misc]
        if torch:
            steps[f"pytorch {kind}"] = torch_step(case, task, kind)
    times = interleaved(steps, options.rounds, options.seconds)
    return {"network": case.name, "batch": case.batch, "task": task, "zeros": same_as_zeros(case, task), "times": times}


def ratio(result: dict[str, Any], library: str, kind: str) -> Spread:
    return Spread.of_ratios(result["times"][f"{library} {kind}"], result["times"][f"{library} {RANDOM}"])


def good(result: dict[str, Any]) -> bool:
    ratios = [ratio(result, "opsin", kind).median for kind in (TRAINED, DENORMALS)]
    return bool(result["zeros"]) and all(1 / LIMIT <= r <= LIMIT for r in ratios)


def main() -> int:
    command = parser(__doc__ or "")
    networks = ["lenet5:64", "resnet20_cifar:128", "resnet18:8"]
    command.add_argument("--networks", nargs="+", default=networks, metavar="NAME:BATCH")
    command.add_argument("--images", metavar="PHOTOS")
    command.add_argument("--steps", type=int, default=40, metavar="N")
    command.add_argument("--rounds", type=int, default=7, metavar="N")
    command.add_argument("--seconds", type=float, default=0.3, metavar="S")
    command.add_argument("--threads", type=int, default=2, metavar="N")
    command.add_argument("--flush", action="store_true")
    options = command.parse_args()
    if torch:
        torch.set_flush_denormal(options.flush)
        torch.set_num_threads(options.threads)
    record = begin(options)
    results = record["results"] = []
    for text in options.networks:
        case = Case(text, options)
        results += [measure(case, task, options) for task in (TRAIN, INFER)]
    libraries = ["opsin", "pytorch"] if torch else ["opsin"]
    heads = ["network, batch, task", *(f"{lib}, {kind}" for lib in libraries for kind in (RANDOM, TRAINED, DENORMALS))]
    rows = []
    for r in results:
        cells = []
        for library in libraries:
            cells.append(f"{1e3 * Spread.of(r['times'][f'{library} {RANDOM}']).median:.2f} ms")
            cells += [f"× {ratio(r, library, kind):.2f}" for kind in (TRAINED, DENORMALS)]
        rows.append([f"{r['network']}, {r['batch']}, {r['task']}", *cells, "yes" if r["zeros"] else "no"])
    finish(options, record | print_table([*heads, "denormals as zeros"], rows))
    return 0 if all(map(good, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
