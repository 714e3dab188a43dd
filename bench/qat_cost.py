"""The time of a training step that simulates 8-bit integers, relative to an ordinary one, in alternation.

    python bench/qat_cost.py [--rounds 20] [--threads N] [--json FILE]

The ratio is the median over the rounds, with the quarters of the rounds below and above it; the optimizer is AdamW.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.native import compile
from opsin.backends.tuning import noise
from opsin.quantization.fake_quantization import simulated

CASES = (
    ("lenet5", (1, 28, 28), 64),
    ("mlperf_tiny_resnet8", (3, 32, 32), 64),
    ("mobilenet_v2", (3, 96, 96), 16),
    ("efficientnet_lite0", (3, 96, 96), 16),
)  # fmt: skip


def ratios(name: str, shape: tuple[int, int, int], batch: int, rounds: int, threads: int | None) -> np.ndarray:  # type: ignore[type-arg]
    layer, optimizer = zoo.create(name, 10), nn.optimizers.AdamW()
    network = nn.trace(layer, shape)
    rounding = nn.training_step(simulated(network, nn.initial_state(network, 0)), optimizer)
    programs = [compile(graph, batch, threads) for graph in (nn.training_graph(layer, shape, optimizer), rounding)]
    seconds = []
    for program in programs:
        program.load_state(nn.initial_state(program.graph, 0))
    for _ in range(rounds + 1):
        times = []
        for program in programs:
            inputs, start = noise(program.graph), perf_counter()
            program.run(**inputs)
            times.append(perf_counter() - start)
        seconds.append(times[1] / times[0])
    return np.array(seconds[1:])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--threads", type=int)
    options = arguments.parse_args()
    record = begin(options)
    rows = []
    for name, shape, batch in CASES:
        found = ratios(name, shape, batch, options.rounds, options.threads)
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
        rows.append((name, " × ".join(map(str, shape)), str(batch), f"{middle:.2f} ({low:.2f} to {high:.2f})"))
    finish(options, record | print_table(("network", "images", "batch", "times an ordinary step"), rows))


if __name__ == "__main__":
    main()
