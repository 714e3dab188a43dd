"""LeNet-5 to 99% on MNIST: from the start of the command to the saved model, compared with a plain PyTorch script.

    python bench/mnist_command.py FOLDER [--epochs 3] [--seeds 3] [--threads 2] [--json FILE]

`opsin train FOLDER` and `mnist_torch.py` alternate, each in its own process. The clock runs from the start of the
process until its model file is complete; accuracy is that of the saved model on the 10,000 test images. Opsin holds out
a twelfth of the training images for validation and augments at level `light`; the time of its report is not counted.
The PyTorch script trains on all 60,000 images without augmentation.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from common import begin, finish, parser, print_table

import opsin

TORCH = Path(__file__).with_name("mnist_torch.py")


def timed(command: list[str], out: Path) -> tuple[float, str]:
    """Seconds from starting `command` until `out` exists, and what it printed by its end."""
    start = perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=out.parent
    ) as process:
        while not out.exists() and process.poll() is None:
            sleep(0.005)
        seconds = perf_counter() - start
        printed, errors = process.communicate()
    if process.returncode or not out.exists():
        raise SystemExit(f"{' '.join(command)} failed:\n{errors or printed}")
    return seconds, printed


def main() -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, metavar="FOLDER")
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, …")
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    record, test = begin(chosen), opsin.data.load(chosen.folder).test
    found: dict[str, list[tuple[float, float]]] = {"Opsin": [], "PyTorch": []}
    common = ["--epochs", str(chosen.epochs), "--threads", str(chosen.threads)]
    for seed in range(chosen.seeds):
        with TemporaryDirectory() as folder:
            data, out = str(chosen.folder.resolve()), Path(folder, "model.opsin")
            words = ["-m", "opsin", "train", data, "--out", str(out), "--seed", str(seed), *common]
            seconds, _ = timed([sys.executable, *words], out)
            found["Opsin"].append((seconds, opsin.load(out).evaluate(test).accuracy))
            out = Path(folder, "model.pt")
            seconds, printed = timed([sys.executable, str(TORCH), data, str(out), "--seed", str(seed), *common], out)
            found["PyTorch"].append((seconds, float(printed.split()[-1])))
    rows: list[tuple[str, ...]] = []
    for name, runs in found.items():
        rows += [(name, str(seed), f"{s:.1f}", f"{right:.2%}") for seed, (s, right) in enumerate(runs)]
        rows.append((name, "mean", f"{mean(s for s, _ in runs):.1f}", f"{mean(right for _, right in runs):.2%}"))
    table = print_table(("program", "seed", "s to the saved model", "test accuracy"), rows)
    finish(chosen, {**record, **table, "runs": found})


if __name__ == "__main__":
    main()
