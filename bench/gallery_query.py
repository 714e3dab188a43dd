"""The time of one query in a gallery of unit vectors, next to NumPy's matrix product and the time to read the vectors.

    python bench/gallery_query.py [--entries 100000] [--dimensions 128] [--queries 200] [--json FILE]

The query is that of `opsin identify` when the model has given the vector: all similarities, and the nearest entry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

from opsin.gallery import Gallery, Search


def times(call: Callable[[Any], object], queries: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the milliseconds of each query."""
    seconds = []
    for query in queries:
        start = perf_counter()
        call(query)
        seconds.append(perf_counter() - start)
    return 1e3 * np.array(seconds)


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--entries", type=int, default=100_000)
    arguments.add_argument("--dimensions", type=int, default=128)
    arguments.add_argument("--queries", type=int, default=200)
    options = arguments.parse_args()
    record = begin(options)
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(options.entries + options.queries, options.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    entries, queries = np.ascontiguousarray(vectors[: options.entries]), vectors[options.entries :]
    search = Search(Gallery(tuple(map(str, range(options.entries))), entries, "", ""))
    calls: dict[str, Callable[[Any], object]] = {
        "Opsin": lambda query: search.nearest(query, 0.5),
        "NumPy": lambda query: (entries @ query).argmax(),
        "reading the vectors": lambda query: entries.max(),
    }
    rows = []
    for name, call in calls.items():
        times(call, queries[:5])
        each = times(call, queries)
        rows.append([name, *(f"{value:.2f} ms" for value in np.quantile(each, (0, 0.5, 0.99)))])
    finish(
        options,
        record
        | print_table((f"{options.entries:,} × {options.dimensions}", "least", "median", "99th percentile"), rows),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
