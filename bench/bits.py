"""Check that training is bit-identical for every number of threads and in every run.

    python bench/bits.py [--threads 1 2 3 4] [--runs 2] [--epochs 1] [--seed 0] [--json FILE]

LeNet-5 learns the built-in digits by the default recipe, each time in a process of its own; shown is a digest (SHA-256)
of all its parameters. The exit code is 1 unless all are the same.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from common import begin, finish, parser, print_table

import opsin


def digest(threads: int, epochs: int, seed: int) -> str:
    """The digest of the parameters after training: names, shapes and bits."""
    model = opsin.train("lenet5", "digits", epochs=epochs, seed=seed, threads=threads)
    result = hashlib.sha256()
    for name, value in sorted(model.state.items()):
        result.update(f"{name} {value.shape} {value.dtype}\n".encode())
        result.update(np.ascontiguousarray(value).tobytes())
    return result.hexdigest()


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2, 3, 4])
    options.add_argument("--runs", type=int, default=2)
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    record = begin(chosen)
    jobs = [(threads, run) for threads in chosen.threads for run in range(1, chosen.runs + 1)]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        futures = [processes.submit(digest, threads, chosen.epochs, chosen.seed) for threads, _ in jobs]
        digests = [future.result() for future in futures]
    print(f"LeNet-5 on digits, {chosen.epochs} epoch(s), seed {chosen.seed}")
    table = print_table(
        ("threads", "run", "SHA-256 of the parameters"),
        [(str(threads), str(run), found) for (threads, run), found in zip(jobs, digests, strict=True)],
    )
    same = len(set(digests)) == 1
    print("\nall the same" if same else f"\n{len(set(digests))} different results")
    figures = [{"threads": t, "run": run, "sha256": d} for (t, run), d in zip(jobs, digests, strict=True)]
    finish(chosen, {**record, **table, "runs": figures, "same": same})
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
