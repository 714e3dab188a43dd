"""Check that a network in C or WebAssembly is bit-identical on every processor, with every compiler and engine.

    python bench/ship_bits.py [--networks lenet5 …] [--targets gcc …] [--precision int8] [--stream] [--keep FOLDER]
                              [--json FILE [--resume]]

Each network of the zoo gets random weights and is exported; its self-test compares the bits of the outputs for eight
golden images with those of the portable engine here. Compilers, emulators and engines that are missing are named and
left out: gcc, clang, gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf, gcc-riscv64-linux-gnu, qemu-user-static,
gcc-arm-none-eabi, qemu-system-arm, nodejs and chromium of Debian, and wasmtime and playwright of PyPI. On the boards,
painted memory and stack are compared with the certificate: RAM must be equal, and the stack at most 32 bytes below its
bound. The exit code is 1 if any differs. With `--resume`, results of the same commit and options that the record FILE
already has are kept, so that the whole table can be measured in parts.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wasm_engines
from common import begin, finish, parser, print_table
from wasm_engines import ENGINES

import opsin
from opsin import nn
from opsin.data import Preprocessing
from opsin.export.c.measure import stack_bounds
from opsin.model import Model
from opsin.zoo import registry

NETWORKS = {
    "lenet5": (1, 28, 28), "mlperf_tiny_resnet8": (3, 32, 32), "mlperf_tiny_vww": (3, 96, 96),
    "mlperf_tiny_ds_cnn": (1, 49, 10), "resnet20_cifar": (3, 32, 32), "mobilenet_v3_small": (3, 64, 64),
}  # fmt: skip
"""Networks and the images that they take."""

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
HOSTS = {
    "gcc -O3": ["gcc", "-O3"],
    "gcc -O2": ["gcc", "-O2"],
    "gcc -Os": ["gcc", "-Os"],
    "gcc, FMA": ["gcc", "-O2", "-std=gnu99", "-march=native"],
    "gcc, scalars": ["gcc", "-O2", "-DSCALARS"],
    "clang": ["clang", "-O2"],
    "aarch64": ["aarch64-linux-gnu-gcc", "-O2", "-std=gnu99"],
    "armv7": ["arm-linux-gnueabihf-gcc", "-O2", "-std=gnu99"],
    "riscv64": ["riscv64-linux-gnu-gcc", "-O2", "-std=gnu99"],
}
EMULATORS = {"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static", "riscv64": "qemu-riscv64-static"}
BOARDS = {
    "Cortex-M3": "mps2-an385", "Cortex-M4": "mps2-an386", "Cortex-M7": "mps2-an500", "Cortex-M33": "mps2-an505",
    "Cortex-M55": "mps3-an547",
}  # fmt: skip
MAX_STACK_GAP = 32
NOT_RUN = "not run"
MAIN = '#include "{0}.h"\nint main(void) {{ return -{0}_self_test(); }}\n'


@dataclass(frozen=True)
class Result:
    """What a target says about a network: "same", or what is wrong."""

    text: str
    detail: str = ""


def random_model(name: str, shape: tuple[int, int, int]) -> Model:
    """Return a network with random weights, none of which is special."""
    graph = nn.trace(registry.create(name, 10), shape)
    state = nn.initial_state(graph, 3)
    rng = np.random.default_rng(1)
    for key, value in state.items():
        if value.dtype == np.float32:
            state[key] = (value + np.abs(rng.normal(0, 0.02, value.shape))).astype(np.float32)
    channels = shape[0]
    preprocessing = Preprocessing(*shape, (0.48, 0.46, 0.41)[:channels], (0.22, 0.23, 0.21)[:channels])
    return Model(name, graph, state, preprocessing, [str(number) for number in range(10)])


def executable(name: str) -> str | None:
    """Return the path of a program, of any version."""
    names = (name, *(f"{name}-{version}" for version in range(20, 10, -1)))
    return next(filter(None, map(shutil.which, names)), None)


def missing(target: str) -> str | None:
    """Return the name of a program that a target needs and that is not installed."""
    if target in ENGINES:
        return wasm_engines.missing(target)
    needed = ["arm-none-eabi-gcc", "qemu-system-arm", "make"] if target in BOARDS else [HOSTS[target][0]]
    needed += [EMULATORS[target]] if target in EMULATORS else []
    return next((name for name in needed if not executable(name)), None)


def on_host(target: str, folder: Path, prefix: str) -> Result:
    """Compile for this processor, or one that is emulated, and run the self-test."""
    compiler, *flags = HOSTS[target]
    (folder / "check.c").write_text(MAIN.format(prefix))
    emulator = [EMULATORS[target], "./check"] if target in EMULATORS else ["./check"]
    static = ["-static"] if target in EMULATORS else []
    sources = ["check.c", f"src/{prefix}.c"]
    line = [executable(compiler) or compiler, *STRICT, *flags, *static, "-Isrc", *sources, "-o", "check"]
    subprocess.run(line, cwd=folder, check=True)
    state = subprocess.run(emulator, cwd=folder, check=False).returncode
    return Result("same" if state == 0 else f"DIFFERENT: state {state}")


def on_board(target: str, folder: Path, prefix: str, ram: int) -> Result:
    """Compile for an emulated board, run the self-test, and compare memory and stack with what is certified."""
    board = BOARDS[target]
    line = ["make", "-s", "-C", "cortex-m", "run", f"BOARD={board}"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    numbers = {name.strip(): int(value) for name, value in re.findall(r"([\w ,]+): (\d+)", done.stdout + done.stderr)}
    if done.returncode or numbers.get(f"state of {prefix}_self_test") != 0:
        return Result("DIFFERENT", (done.stdout + done.stderr)[-500:])
    bound = stack_bounds((folder / "cortex-m" / "build" / f"{board}.ci").read_text())[f"{prefix}_self_test"]
    stack = numbers[f"stack of {prefix}_self_test, bytes"]
    if numbers["RAM, bytes"] != ram:
        return Result(f"RAM {numbers['RAM, bytes']}, not {ram}")
    if not stack <= bound <= stack + MAX_STACK_GAP:
        return Result(f"stack {stack}, bound {bound}")
    return Result("same", f"stack {stack}, bound {bound}")


def check(network: str, targets: Sequence[str], folder: Path, precision: str, stream: bool) -> dict[str, Result]:
    """Return the result of each target for a network."""
    model = random_model(network, NETWORKS[network])
    if precision == "int8":
        model.quantize(np.random.default_rng(0).integers(0, 256, (64, *NETWORKS[network]), np.uint8))
    export = opsin.ship(model, "c", folder, precision=precision, stream=stream)
    prefix = next(Path(name).stem for name in export.files if name.endswith(".h"))
    ram = int(re.search(r'"ram_bytes": (\d+)', export.files["certificate.json"].decode())[1])  # type: ignore[index]
    results = {}
    for target in targets:
        if target in ENGINES:
            result = Result("same" if ENGINES[target](model, precision, folder) else "DIFFERENT")
        else:
            result = on_board(target, folder, prefix, ram) if target in BOARDS else on_host(target, folder, prefix)
        print(f"{network}, {target}: {result.text} {result.detail}", file=sys.stderr, flush=True)
        results[target] = result
    return results


def earlier(path: str, commit: str | None, precision: str, stream: bool) -> dict[str, dict[str, Result]]:
    """Return the results that a record has, by network and target, if it was measured in the same way."""
    record = json.loads(Path(path).read_text(encoding="utf-8")) if Path(path).exists() else {}
    options = record.get("options", {})
    if (record.get("commit"), options.get("precision"), options.get("stream")) != (commit, precision, stream):
        return {}
    found: dict[str, dict[str, Result]] = {}
    for target, *texts in record["rows"]:
        for network, text in zip(record["columns"][1:], texts, strict=True):
            if text != NOT_RUN:
                detail = record["details"].get(network, {}).get(target, "")
                found.setdefault(network, {})[target] = Result(text, detail)
    return found


def main() -> None:
    options = parser(__doc__)
    every = [*HOSTS, *BOARDS, *ENGINES]
    options.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    options.add_argument("--targets", nargs="+", default=every, choices=every)
    options.add_argument("--precision", default="float32", choices=["float32", "int8"])
    options.add_argument("--stream", action="store_true", help="networks take their images row by row")
    options.add_argument("--resume", action="store_true", help="keep what the record has of the same commit")
    options.add_argument("--keep", help="a folder in which the exports are kept")
    chosen = options.parse_args()
    record = begin(chosen)
    absent = {target: name for target in chosen.targets if (name := missing(target))}
    for target, name in absent.items():
        print(f"{target} is left out: {name} is not installed")
    targets = [t for t in chosen.targets if t not in absent and not (chosen.stream and t in ENGINES)]
    results = (
        earlier(chosen.json, record["commit"], chosen.precision, chosen.stream) if chosen.resume and chosen.json else {}
    )
    with tempfile.TemporaryDirectory() as scratch:
        for network in chosen.networks:
            place = Path(chosen.keep or scratch) / network
            left = [target for target in targets if target not in results.get(network, {})]
            if left:
                found = check(network, left, place, chosen.precision, chosen.stream)
                results[network] = results.get(network, {}) | found
    results = {network: results[network] for network in NETWORKS if network in results}
    targets = [target for target in every if any(target in each for each in results.values())]
    missed = Result(NOT_RUN)
    rows = [[target, *(each.get(target, missed).text for each in results.values())] for target in targets]
    table = print_table(["compiled by or for", *results], rows)
    same = all(result.text == "same" for each in results.values() for result in each.values())
    details = {network: {t: r.detail for t, r in each.items() if r.detail} for network, each in results.items()}
    finish(chosen, {**record, **table, "same": same, "absent": absent, "details": details})
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
