"""How long Opsin takes to start, and how much disk space it needs.

    python bench/startup.py [--runs 9] [--threads 2] [--size] [--json FILE]

Median (least to most) of several processes each, from their start to their end:

- importing `opsin`, compared with a Python that does nothing;
- `opsin predict MODEL IMAGE` with kernels in the cache, for a model and a held-out digit made beforehand;
- compiling LeNet-5's training step (batch 64) with an empty cache, and again with a full one; both as seen by the call
  of `compile`, and for the whole process.

`--size` also installs this checkout in a new virtual environment, with pip and its index, and adds up what came.
All files are temporary; the user's cache is neither used nor changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from common import begin, finish, parser, print_table
from PIL import Image

from opsin import data
from opsin.apps.benchmark.spread import Spread

ROOT = Path(__file__).parents[1]
COMPILE = """
from time import perf_counter
from opsin import nn, zoo
from opsin.backends.native import compile
graph = nn.training_graph(zoo.lenet5(), (1, 28, 28), optimizer=nn.optimizers.SGD(momentum=0.9))
begin = perf_counter()
compile(graph, 64, {threads})
print(perf_counter() - begin)
"""


def run(*arguments: str, cache: Path) -> tuple[float, str]:
    """Seconds from start to end of `python ARGUMENTS`, and what it printed."""
    environment = {**os.environ, "OPSIN_CACHE": str(cache)}
    begin = perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return perf_counter() - begin, done.stdout


def several(runs: int, measure: Callable[[], float]) -> Spread:
    """`measure`, `runs` times after one that is not counted."""
    measure()
    return Spread.of([measure() for _ in range(runs)])


def commands(runs: int, folder: Path) -> dict[str, Spread]:
    """Importing and predicting."""
    cache, model, image = folder / "cache", str(folder / "digits.opsin"), str(folder / "digit.png")
    run("-m", "opsin", "train", "digits", "--epochs", "1", "--out", model, cache=cache)
    Image.fromarray(data.load("digits").test.pixels[0, 0]).save(image)
    print("opsin predict:", run("-m", "opsin", "predict", model, image, cache=cache)[1].strip())
    return {
        "python -c pass": several(runs, lambda: run("-c", "pass", cache=cache)[0]),
        'python -c "import opsin"': several(runs, lambda: run("-c", "import opsin", cache=cache)[0]),
        "opsin predict MODEL IMAGE": several(runs, lambda: run("-m", "opsin", "predict", model, image, cache=cache)[0]),
    }


def compiling(runs: int, threads: int, folder: Path) -> dict[str, Spread]:
    """Compiling with an empty cache and with a full one, in turns."""
    times: dict[str, list[float]] = {}
    for _ in range(runs):
        with TemporaryDirectory(dir=folder) as cache:
            for state in ("empty cache", "full cache"):
                whole, printed = run("-c", COMPILE.format(threads=threads), cache=Path(cache))
                times.setdefault(f"compile, {state}", []).append(float(printed))
                times.setdefault(f"compile, {state}, whole process", []).append(whole)
    return {what: Spread.of(values) for what, values in times.items()}


def installed(folder: Path) -> dict[str, float]:
    """Megabytes on the disk that installing this checkout adds to a new environment, by top folder, largest first."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    before = sizes(environment)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    added = {name: size - before.get(name, 0.0) for name, size in sizes(environment).items()}
    in_all = {"in all": sum(added.values()), "environment without it": sum(before.values())}
    return in_all | dict(sorted(added.items(), key=lambda item: -item[1])[:8])


def sizes(environment: Path) -> dict[str, float]:
    """Megabytes (10⁶ bytes of whole blocks, where the system tells) by folder of site-packages; the rest by folder."""
    found: dict[str, float] = {}
    for path in environment.rglob("*"):
        parts = path.relative_to(environment).parts
        name = parts[parts.index("site-packages") + 1] if "site-packages" in parts[:-1] else parts[0]
        status = path.lstat()
        found[name] = found.get(name, 0.0) + getattr(status, "st_blocks", -(-status.st_size // 512)) * 512 / 1e6
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--size", action="store_true", help="measure the installed size, too (needs a network)")
    chosen = options.parse_args()
    record = begin(chosen)
    with TemporaryDirectory() as name:
        folder = Path(name)
        spreads = commands(chosen.runs, folder) | compiling(chosen.runs, chosen.threads, folder)
        rows = [(what, f"{spread:.3f} s") for what, spread in spreads.items()]
        record["seconds"] = spreads
        if chosen.size:
            record["megabytes"] = installed(folder)
            rows += [(f"installed, {what}", f"{size:.1f} MB") for what, size in record["megabytes"].items()]
    finish(chosen, record | print_table((f"measurement, {chosen.runs} runs", "result"), rows))


if __name__ == "__main__":
    main()
