"""Does the training step wait for its images? The loader alone, the step alone, and the step fed by the loader.

    python bench/loader.py [--jobs lenet5 …] [--levels light …] [--seconds 6] [--rounds 3] [--threads 2] [--json FILE]

Images are generated noise; those for 224² are stored as 256². `alone` is what the step does when it is given the same
batch again and again, `fed` when it goes through epochs of augmented batches: images a second, the median of rounds
that take turns. `waits` is the share of the fed time in which the step had no batch, the worst of the rounds.
`an image` is the processor time that the loader takes to prepare one, with nothing else running, and `loader` how many
that makes a second on one core.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.backends.native import compile
from opsin.data import Batches, LabeledImages, Preprocessing, augment


@dataclass(frozen=True)
class Job:
    """A network's training, on `stored`² images."""

    network: str
    shape: tuple[int, int, int]
    stored: int
    batch: int
    images: int


JOBS = {
    "lenet5": Job("lenet5", (1, 28, 28), 28, 64, 60_000),
    "resnet20_cifar": Job("resnet20_cifar", (3, 32, 32), 32, 128, 20_000),
    "efficientnet_lite0": Job("efficientnet_lite0", (3, 224, 224), 256, 32, 512),
}


def batches_of(job: Job, level: str) -> Batches:
    """Ten classes of noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (job.images, job.shape[0], job.stored, job.stored), np.uint8)
    labels = rng.integers(0, 10, job.images).astype(np.int32)
    images = LabeledImages(pixels, labels, tuple(f"class {number}" for number in range(10)))
    channels = job.shape[0]
    preprocessing = Preprocessing(*job.shape, (0.5,) * channels, (0.29,) * channels)
    return Batches(images, preprocessing, job.batch, 0, augment.preset(level, job.shape, images.classes))


def program_of(job: Job, soft: bool, threads: int | None) -> Program:
    """The compiled step."""
    layer = zoo.create(job.network, classes=10)
    loss = nn.losses.soft_cross_entropy if soft else nn.losses.cross_entropy
    graph = nn.training_graph(layer, job.shape, nn.optimizers.AdamW(), loss, soft=soft)
    program = compile(graph, job.batch, threads)
    program.load_state(nn.initial_state(graph, seed=1))
    return program


def alone(program: Program, batches: Batches, seconds: float) -> float:
    """Images a second from one batch over and over."""
    images, labels = next(batches.epoch(1))
    start, steps = perf_counter(), 0
    while perf_counter() - start < seconds:
        program.run(inputs=images, labels=labels, learning_rate=1e-4)
        steps += 1
    return steps * batches.size / (perf_counter() - start)


def fed(program: Program, batches: Batches, seconds: float) -> tuple[float, float]:
    """Images a second from epochs of batches, and the share of the time in which the step waited."""
    start, waited, steps, epoch = perf_counter(), batches.waited, 0, 0
    while perf_counter() - start < seconds:
        for images, labels in batches.epoch(epoch):
            program.run(inputs=images, labels=labels, learning_rate=1e-4)
            steps += 1
            if perf_counter() - start >= seconds:
                break
        epoch += 1
    passed = perf_counter() - start
    return steps * batches.size / passed, (batches.waited - waited) / passed


def loading(batches: Batches, seconds: float) -> float:
    """Processor seconds to prepare an image."""
    start, used, count, epoch = perf_counter(), process_time(), 0, 0
    while perf_counter() - start < seconds:
        for images, _ in batches.epoch(epoch):
            count += len(images)
        epoch += 1
    return (process_time() - used) / count


def measure(job: Job, level: str, rounds: int, seconds: float, threads: int | None) -> dict[str, Any]:
    """The figures of one job at one level."""
    batches = batches_of(job, level)
    program = program_of(job, batches.augmentation.mixes, threads)
    loads, singles, rates, waits = [], [], [], []
    for _ in range(rounds):
        loads.append(loading(batches, seconds / 3))
        singles.append(alone(program, batches, seconds))
        rate, wait = fed(program, batches, seconds)
        rates.append(rate)
        waits.append(wait)
    return {
        "network": job.network,
        "batch": job.batch,
        "level": level,
        "seconds_a_image": min(loads),
        "alone": median(singles),
        "fed": median(rates),
        "waits": max(waits),
        "rounds": {"loads": loads, "alone": singles, "fed": rates, "waits": waits},
    }


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS), metavar="NAME")
    command.add_argument("--levels", nargs="+", default=["light", "strong"], choices=augment.LEVELS, metavar="LEVEL")
    command.add_argument("--seconds", type=float, default=6.0, help="of each turn")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--threads", type=int, help="every core where none are given")
    options = command.parse_args()
    record = begin(options)
    record["results"] = results = [
        measure(JOBS[name], level, options.rounds, options.seconds, options.threads)
        for name in options.jobs
        for level in options.levels
    ]
    heads = ("network", "batch", "level", "an image", "loader", "alone", "fed", "waits")
    rows = [
        [
            r["network"], str(r["batch"]), r["level"], f"{1e6 * r['seconds_a_image']:.1f} µs",
            f"{1 / r['seconds_a_image']:,.0f}/s", f"{r['alone']:,.0f}/s", f"{r['fed']:,.0f}/s", f"{r['waits']:.2%}",
        ]
        for r in results
    ]  # fmt: skip
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
