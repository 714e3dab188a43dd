"""The zoo's networks against torchvision's and timm's, from the same weights: logits, gradients and a training step.

    PYTHONPATH=. python bench/zoo_agreement.py [--networks resnet18 …] [--json FILE]

What the others computed, in float64, is in tests/zoo/fixtures, made by tools/make_zoo_fixtures.py and
tools/make_timm_fixtures.py, so that neither is needed here. `exact` is the reference engine in float64, `native` the
native engine in float32. Differences are the largest: of logits as shares of their range, of the gradient by the
images as shares of its norm, and of each variable after a step of SGD as shares of the variable's norm. The exit code
is 1 where exact differs by more than 1e-9, native logits or gradients by more than 1e-3, or native variables by more
than 1e-4.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from tests.zoo.agreement import BATCH, COMPUTED, STEPPED, Engine, evaluation, step

from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.ir import Graph

LIMITS = {"exact": (1e-9, 1e-9, 1e-9), "native": (1e-3, 1e-3, 1e-4)}


def exact(graph: Graph) -> Reference:
    return Reference(graph, BATCH, np.float64)


ENGINES: dict[str, Engine] = {"exact": exact, "native": lambda graph: compile(graph, BATCH)}


def compare(name: str) -> dict[str, Any]:
    """The network's three differences on each engine; none for a step that the other library has not taken."""
    found: dict[str, Any] = {"network": name}
    for kind, engine in ENGINES.items():
        variables = max(step(name, engine).of_variable.values()) if name in STEPPED else None
        found[kind] = (*evaluation(name, engine), variables)
    return found


def good(result: dict[str, Any]) -> bool:
    return all(
        difference is None or difference <= limit
        for kind, limits in LIMITS.items()
        for difference, limit in zip(result[kind], limits, strict=True)
    )


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("--networks", nargs="+", default=COMPUTED, choices=COMPUTED, metavar="NAME")
    options = command.parse_args()
    record = begin(options)
    results = record["results"] = []
    for name in options.networks:
        results.append(compare(name))
        print(f"{name}: {'agrees' if good(results[-1]) else 'differs'}", file=sys.stderr)
    heads = [f"{kind} {what}" for kind in ENGINES for what in ("logits", "gradient", "step")]
    rows = [
        [result["network"], *("" if d is None else f"{d:.1e}" for kind in ENGINES for d in result[kind])]
        for result in results
    ]
    finish(options, record | print_table(["network", *heads], rows))
    return 0 if all(map(good, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
