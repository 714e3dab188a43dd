"""Read the machine code of the kernels of networks for spills: vector registers that inner loops store to the stack.

    python bench/spills.py [NETWORK …] [--target neon] [--cpu generic] [--factor-registers N …] [--json FILE]

The kernels are those of a training step of 16 images and of a prediction of one, 40 (`--each`) of each kind at most.
They are compiled for a row of the target table and a processor of its architecture, which need not be this one. Counted
are the innermost loops with at least eight FMA instructions on vectors, those of them that spill, and the accesses of
vectors on the stack. `--factor-registers` replaces the number of the target table; several numbers are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import llvmlite.binding as llvm
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.native import codegen, render
from opsin.compiler.execution_plan import make_plan
from opsin.kernels.ir import TARGETS, Target
from opsin.kernels.spec import KernelSpec

NETWORKS = ("lenet5", "resnet20_cifar", "resnet18", "resnet50", "mobilenet_v2", "vgg16")
SIZES = {"lenet5": (1, 28, 28), "resnet20_cifar": (3, 32, 32)}
DEFAULT_SIZE = 3, 96, 96
MIN_MULTIPLY_ADDS = 8
TRIPLES = {"neon": "aarch64-unknown-linux-gnu"}
"""LLVM's names of platforms by row of the target table; the others are x86."""


@dataclass(frozen=True)
class Loop:
    """An innermost loop of machine code: its instructions."""

    instructions: tuple[str, ...]

    def count(self, pattern: str) -> int:
        """Return the number of instructions that begin with a match of `pattern`."""
        return sum(bool(re.match(pattern, line)) for line in self.instructions)

    @property
    def multiply_adds(self) -> int:
        return self.count(r"fmla\s|vfmadd")

    @property
    def stack_accesses(self) -> int:
        """The number of loads and stores of vectors on the stack."""
        return self.count(r"(ld|st)[rpu]\w*\s+q\d+.*\[sp|v?mov[au]p[sd]\s.*\(%rsp")


def loops(assembly: str) -> Iterator[Loop]:
    """Yield the innermost loops: from a label to a branch back to it, without another label in between."""
    label, body = "", []
    for line in assembly.splitlines():
        start = re.match(r"(\.?L\w+):", line)
        if start:
            label, body = start[1], []
        elif re.match(r"\s+[a-z]", line):
            body.append(line.split("#")[0].strip())
            if label and re.match(rf"(b\.|cbn?z|tbn?z|j).*\b{re.escape(label.lstrip('.'))}$", body[-1]):
                yield Loop(tuple(body))


def processor(target: Target, cpu: str) -> codegen.Host:
    """Return a processor of the row `target`, which LLVM calls `cpu`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    features = ",".join(f"+{name}" for name in target.needs)
    return codegen.Host(cpu, TRIPLES.get(target.name, "x86_64-unknown-linux-gnu"), features)


def kernels(names: Sequence[str], target: Target) -> dict[KernelSpec, None]:
    """Return the different kernels of the networks, in order."""
    specs: dict[KernelSpec, None] = {}
    for name in names:
        size, network = SIZES.get(name, DEFAULT_SIZE), zoo.create(name, classes=10)
        training = nn.training_graph(network, size, nn.optimizers.SGD(momentum=0.9))
        for graph, batch in ((training, 16), (nn.trace(zoo.create(name, classes=10), size), 1)):
            specs |= dict.fromkeys(call.spec for call in make_plan(graph, batch, target).calls)
    return specs


def count_spills(networks: Sequence[str], target: Target, host: codegen.Host, each: int) -> dict[str, Counter[str]]:
    """Return "loops", those "spilling", and their stack "accesses", by kind of kernel."""
    numbers, result = Counter[str](), dict[str, Counter[str]]()
    for spec in kernels(networks, target):
        kind = type(spec).__name__
        numbers[kind] += 1
        if numbers[kind] > each:
            continue
        for loop in loops(codegen.assembly(render.render(spec.build(target), target), host)):
            if loop.multiply_adds >= MIN_MULTIPLY_ADDS:
                counts = result.setdefault(kind, Counter())
                counts.update(loops=1, spilling=loop.stack_accesses > 0, accesses=loop.stack_accesses)
    return result


def cell(counts: Counter[str]) -> str:
    if not counts["spilling"]:
        return f"0 of {counts['loops']}"
    return f"{counts['spilling']} of {counts['loops']} ({counts['accesses']})"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    options.add_argument("--target", default="neon", choices=[row.name for row in TARGETS])
    options.add_argument("--cpu", default="generic", help="LLVM's name of a processor")
    options.add_argument("--factor-registers", type=int, nargs="+", help="instead of those of the target table")
    options.add_argument("--each", type=int, default=40, help="the most kernels of each kind")
    chosen = options.parse_args()
    record = begin(chosen)
    row = next(row for row in TARGETS if row.name == chosen.target)
    host = processor(row, chosen.cpu)
    found = {
        number: count_spills(chosen.networks, replace(row, factor_registers=number), host, chosen.each)
        for number in chosen.factor_registers or [row.factor_registers]
    }
    print("Loops that spill, of all inner loops (accesses of the stack)")
    kinds = sorted({kind for counts in found.values() for kind in counts})
    heads = ("kernel", *(f"factor registers: {number}" for number in found))
    rows = [(kind, *(cell(counts.get(kind, Counter())) for counts in found.values())) for kind in kinds]
    finish(chosen, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
