"""Whether the arithmetic that `opsin see` describes gives the engine's bits, for networks of the zoo.

    python bench/arithmetic.py [--networks lenet5 …] [--targets avx2 …] [--json FILE]

Each network has random weights and sees one image of noise at the size of its paper, once for each row of the target
table that runs here. Every operation is computed at 48 places from its own inputs. The exit code is 1 if a bit differs.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin import nn, zoo
from opsin.backends.native import codegen
from opsin.explain.arithmetic.check import check_graph
from opsin.kernels.ir import Target

PLACES = 48
NETWORKS = (
    "lenet5 lenet5_1998 resnet20_cifar mobilenet_v2 efficientnet_lite0 googlenet shufflenet_v2_x1_0 squeezenet1_1 "
    "densenet121 resnet18 alexnet_2012 vgg11"
).split()


def measure(name: str, target: Target) -> dict[str, Any]:
    """The figures of one network on one row."""
    entry = zoo.find(name)
    graph = nn.trace(entry(), entry.input_shape)
    pixels = np.random.default_rng(1).standard_normal((1, *entry.input_shape)).astype(np.float32)
    checks = list(check_graph(graph, nn.initial_state(graph, 1), {"inputs": pixels}, PLACES, target))
    return {
        "network": name,
        "target": target.name,
        "operations": len(checks),
        "values": sum(each.count for each in checks),
        "different": sum(each.differences or 0 for each in checks),
        "undescribed": sum(each.differences is None for each in checks),
        "kernels": sorted({each.kernel for each in checks}),
    }


def main() -> int:
    command = parser(__doc__ or "")
    rows = {row.name: row for row in codegen.host().targets}
    command.add_argument("--networks", nargs="*", default=NETWORKS, metavar="NAME")
    command.add_argument("--targets", nargs="*", default=list(rows), choices=list(rows), metavar="ROW")
    options = command.parse_args()
    record = begin(options)
    results = record["results"] = []
    for name in options.networks:
        for target in options.targets:
            results.append(measure(name, rows[target]))
            print(results[-1], file=sys.stderr, flush=True)
    heads = ("network", "target", "operations", "values", "different", "undescribed")
    finish(options, record | print_table(heads, [[str(result[head]) for head in heads] for result in results]))
    return 1 if any(result["different"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
