"""SIGKILL at random moments: whether resumed runs are bit-identical to an uninterrupted one.

    PYTHONPATH=src:. python bench/kills.py [--task TASK] [--kills 50] [--each 7] [--epochs 4] [--seed 0] [--json FILE]

LeNet-5 learns the built-in digits in separate processes, with a checkpoint at every check of the parameters, a moving
average and early stopping; networks of other tasks learn small annotated images. Each run is killed up to `--each`
times, at moments drawn from the seed, and resumed with `opsin train --resume`. Then the model file, the last checkpoint
(parameters, optimizer, average) and the history in the log are compared with those of an uninterrupted run. The exit
code is 1 unless all are identical.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from common import begin, finish, parser, print_table
from tests.runs.kills import ANNOTATED, annotated_options, interrupted_run, result, start
from tests.runs.kills import finish as wait_for

from opsin.runs.listing import summary


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--task", choices=("classification", *ANNOTATED), default="classification")
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--each", type=int, default=7, help="kills of one run, at most")
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    record, moments, rows, done = begin(chosen), random.Random(chosen.seed), [], 0
    arguments: list[object] = [
        "digits", "--network", "lenet5", "--epochs", chosen.epochs, "--batch", 48, "--ema", 0.98, "--patience", 3,
        "--checkpoint-minutes", 0, "--no-report",
    ]  # fmt: skip
    started = perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.task != "classification":
            arguments = annotated_options(chosen.task, folder / "data", chosen.epochs)
        wait_for(start(*arguments, "--run", folder / "whole"))
        expected, seconds = result(folder / "whole"), summary(folder / "whole").seconds
        while done < chosen.kills:
            run = folder / f"run{len(rows)}"
            kills = interrupted_run(run, arguments, min(chosen.each, chosen.kills - done), seconds, moments)
            done += kills
            rows.append((kills, result(run) == expected))
    cells = [(str(number), str(kills), str(same)) for number, (kills, same) in enumerate(rows)]
    table = print_table(("run", "kills", "bit-identical"), cells)
    same = all(same for _, same in rows)
    seconds = perf_counter() - started
    print(f"\n{done} kills in {len(rows)} runs, {seconds:.0f} s: {'all' if same else 'NOT all'} bit-identical")
    finish(chosen, {**record, **table, "runs": [{"kills": k, "same": same} for k, same in rows], "same": same})
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
