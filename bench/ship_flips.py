"""How many exports of which one bit was changed do their self-tests refuse?

    python bench/ship_flips.py [--networks lenet5 mlperf_tiny_resnet8] [--flips 200] [--json FILE]

Needs GCC on x86-64, and Node. Networks have initial weights. The C of each is compiled (`-O2 -ffreestanding`, without a
library) to a program that runs the self-test. Changed are bits of that program: of its weights and tables (numbers that
the network is computed from, such as sizes of layers, and that its results are compared with), of its labels and their
addresses, of the numbers that the compiler keeps next to its code, and of its code. A changed program is `refused` if
the self-test returns an error, `stopped` if the system ends it or it does not end within `SECONDS`, and `accepted` if
the self-test succeeds. Of the JavaScript module, bits of the files are changed that it loads; `bench/ship_page.py` does
the same for pages.
"""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import begin, finish, parser, print_table
from untrained import observed, untrained

import opsin
from opsin.export.precision import FLOAT32
from opsin.model import Model
from opsin.model.int8 import INT8

SECONDS = 10
START = """\
#include "{0}.h"
__attribute__((noreturn, force_align_arg_pointer)) void _start(void)
{{
  const long state = -{0}_self_test();
  __asm__ volatile("syscall" : : "a"(60L), "D"(state));
  for (;;) {{}}
}}
"""
FLAGS = ["-O2", "-std=c99", "-ffreestanding", "-fno-stack-protector", "-static", "-nostdlib", "-fno-pie", "-no-pie"]
REFUSED = (3, 4)
"""Exit codes of the program: the states `BAD_WEIGHTS` and `BAD_BITS` without their sign."""

LOAD = """
import fs from 'node:fs'
const {folder, flips} = JSON.parse(fs.readFileSync(0)), results = []
const {load, OpsinError} = await import(`file://${folder}/index.js`)
for (const [file, bit] of flips) {
  const read = async (name) => {
    const bytes = new Uint8Array(fs.readFileSync(`${folder}/${name}`))
    if (name === file) bytes[bit >> 3] ^= 1 << (bit & 7)
    return bytes
  }
  results.push(await load({read}).then(() => 'accepted', (e) => e instanceof OpsinError ? 'refused' : 'stopped'))
}
process.stdout.write(JSON.stringify(results))
"""

Ranges = list[range]
"""Places of bytes in a file."""


def compiled(model: Model, precision: str, folder: Path) -> Path:
    """Return the program that runs the self-test of a model, and exits with its state."""
    export = opsin.ship(model, "c", folder, precision=precision)
    prefix = next(Path(name).stem for name in export.files if name.endswith(".h"))
    (folder / "start.c").write_text(START.format(prefix))
    command = ["gcc", *FLAGS, "-Isrc", "start.c", f"src/{prefix}.c", "-o", "check"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "check"


def sections(program: Path) -> Iterator[tuple[str, int, range]]:
    """Yield name, address and place in the file of each section of a 64-bit ELF file (System V ABI, chapter 4)."""
    data = program.read_bytes()
    (table,), (count, names) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<HH", data, 60)
    rows = [struct.unpack_from("<IIQQQQ", data, table + 64 * number) for number in range(count)]
    for name, _, _, address, offset, size in rows:
        start = rows[names][4] + name
        yield data[start : data.index(b"\0", start)].decode(), address, range(offset, offset + size)


def parts(program: Path) -> dict[str, Ranges]:
    """Return where the parts of a program are in its file."""
    places = {name: (address, place) for name, address, place in sections(program)}
    lines = subprocess.run(["nm", "-S", program], check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = {m[4]: m for line in lines if (m := re.fullmatch(r"(\w+) (\w+) (\w) (\S+)", line))}

    def places_of(section: str, kinds: str) -> dict[str, range]:
        address, place = places[section]
        starts = {name: int(m[1], 16) - address + place.start for name, m in symbols.items() if m[3] in kinds}
        return {name: range(start, start + int(symbols[name][2], 16)) for name, start in starts.items()}

    code = places_of(".text", "tT")
    code.pop("_start")
    tables, (address, rodata) = places_of(".rodata", "rR"), places[".rodata"]
    (pointers,) = (tables.pop(name) for name in [*tables] if name.endswith("_labels"))
    labels = [pointers, *texts(program.read_bytes(), pointers, rodata.start - address)]
    inside = {byte for place in (*tables.values(), *labels) for byte in place}
    literals = [range(byte, byte + 1) for byte in rodata if byte not in inside]
    return {
        "weights and tables": [*tables.values()], "labels": labels, "literals": literals, "code": [*code.values()]
    }  # fmt: skip


def texts(data: bytes, pointers: range, offset: int) -> Iterator[range]:
    """Yield the places of strings, whose addresses are in a table; `offset` leads from an address to a place."""
    for (address,) in struct.iter_unpack("<Q", data[pointers.start : pointers.stop]):
        start = address + offset
        yield range(start, data.index(b"\0", start) + 1)


def outcome(program: Path, content: bytes) -> str:
    """Return what becomes of a program with other content."""
    copy = program.with_name("copy")
    copy.write_bytes(content)
    copy.chmod(0o700)
    try:
        state = subprocess.run([copy], timeout=SECONDS, stdin=subprocess.DEVNULL, capture_output=True).returncode
    except (subprocess.TimeoutExpired, OSError):
        return "stopped"
    return "accepted" if state == 0 else "refused" if state in REFUSED else "stopped"


def flip_program(program: Path, place: Ranges, count: int, rng: random.Random) -> Counter[str]:
    """Return the outcomes of changed bits of a part of a program."""
    content, counts, weights = program.read_bytes(), Counter[str](), [len(each) for each in place]
    for _ in range(count):
        changed = bytearray(content)
        changed[rng.choice(rng.choices(place, weights)[0])] ^= 1 << rng.randrange(8)
        counts[outcome(program, bytes(changed))] += 1
    return counts


def flip_module(folder: Path, files: dict[str, bytes], count: int, rng: random.Random) -> Counter[str]:
    """Return the outcomes of changed bits of the files that a JavaScript module loads."""
    names = [name for name in files if name.endswith((".bin", ".wasm", "model.json"))]
    sizes = [8 * len(files[name]) for name in names]
    flips = [(name, rng.randrange(8 * len(files[name]))) for name in rng.choices(names, sizes, k=count)]
    data, command = json.dumps({"folder": str(folder), "flips": flips}), ["node", "--input-type=module", "-e", LOAD]
    return Counter(json.loads(subprocess.run(command, input=data, check=True, capture_output=True, text=True).stdout))


def measure(model: Model, precision: str, flips: int, folder: Path) -> dict[str, Counter[str]]:
    """Return the outcomes for each part of the exports of a model."""
    rng = random.Random(0)
    program = compiled(model, precision, folder)
    assert outcome(program, program.read_bytes()) == "accepted"
    results = {
        f"C, {name}": flip_program(program, place, flips, rng) for name, place in parts(program).items() if place
    }
    export = opsin.ship(model, "js", folder / "module", precision=precision)
    return {**results, "module": flip_module(folder / "module", dict(export.files), flips, rng)}


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--networks", nargs="+", default=["lenet5", "mlperf_tiny_resnet8"])
    arguments.add_argument("--flips", type=int, default=200)
    options = arguments.parse_args()
    record: dict[str, Any] = begin(options)
    details: dict[str, dict[str, Counter[str]]] = {}
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for name in options.networks:
        model = untrained(name)
        observed(model)
        for precision in (FLOAT32, INT8):
            with tempfile.TemporaryDirectory() as temporary:
                results = details[f"{name}, {precision}"] = measure(model, precision, options.flips, Path(temporary))
            print(f"{name}, {precision}: { {part: dict(counts) for part, counts in results.items()} }", file=sys.stderr)
            for part, counts in results.items():
                totals[part] += counts
    kinds = ("refused", "stopped", "accepted")
    rows = [
        [part, str(counts.total()), *(f"{counts[kind]} ({counts[kind] / counts.total():.0%})" for kind in kinds)]
        for part, counts in totals.items()
    ]
    finish(options, {**record, **print_table(["changed", "bits", *kinds], rows), "details": details})


if __name__ == "__main__":
    main()
