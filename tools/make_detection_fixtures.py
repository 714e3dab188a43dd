"""Writes tests/tasks/detection/scores.npz: random objects and detections, and what pycocotools and tidecv compute.

    python -m tools.make_detection_fixtures

in the repository's root, with pycocotools and tidecv installed (2.0.11 and 1.0.1 made the file that is there). For case
i the file holds the arrays of the objects `i/truth/…` and of the detections `i/detections/…`, COCO's twelve numbers
`i/stats`, sums over the recalls `i/precision`, `i/recall` and `i/scores`, and `i/tide`: AP and gains in percent,
with the scores of `without_ties`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.tasks.detection.cases import CASES, coco_eval, random_case, tide, without_ties

FILE = Path(__file__).parent.parent / "tests/tasks/detection/scores.npz"
TRUTH = "image classes corners areas crowd difficult".split()
DETECTIONS = "image classes corners scores".split()


def main() -> None:
    """Write the file."""
    arrays: dict[str, Any] = {}
    for number, case in enumerate(CASES):
        truth, detections = random_case(case, number)
        arrays[f"{number}/truth/count"] = np.array(truth.image_count)
        arrays |= {f"{number}/truth/{name}": getattr(truth, name) for name in TRUTH}
        arrays |= {f"{number}/detections/{name}": getattr(detections, name) for name in DETECTIONS}
        expected = coco_eval(truth, detections)
        arrays |= {f"{number}/{name}": expected[name] for name in ("stats", "recall")}
        arrays |= {f"{number}/{name}": expected[name].sum(1) for name in ("precision", "scores")}
        if not truth.crowd.all():
            arrays[f"{number}/tide"] = np.array(list(tide(truth, without_ties(detections)).values()))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
