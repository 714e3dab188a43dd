"""Record what pycocotools makes of random polygons and run-length codes, for tests/tasks/segmentation/test_rle.py.

Run it with a Python that has pycocotools (made with 2.0.11): python tools/make_rle_fixtures.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

TARGET = Path(__file__).parent.parent / "tests" / "tasks" / "segmentation" / "fixtures" / "coco_regions.json"
CASES = 160


def polygon(rng: np.random.Generator, kind: int, side: int) -> list[float]:
    """Return random points: outside the image as well, on halves of pixels, on whole pixels, or each twice."""
    points = rng.uniform(-5, side + 5, (int(rng.integers(3, 12)), 2))
    if kind == 1:
        points = np.round(points * 2) / 2
    elif kind >= 2:
        points = np.round(points).clip(0, side)
    flat: list[float] = np.round(np.repeat(points, 2 if kind == 3 else 1, 0), 2).reshape(-1).tolist()
    return flat


def case(rng: np.random.Generator, number: int) -> dict[str, Any]:
    """Return a polygon, its compressed code, and the run lengths of its mask down the columns."""
    height, width = (int(side) for side in rng.integers(1, 60, 2))
    points = polygon(rng, number % 4, max(height, width))
    code = coco_mask.frPyObjects([points], height, width)
    flat = coco_mask.decode(code)[..., 0].T.reshape(-1)
    starts = np.flatnonzero(np.diff(flat, prepend=0))
    runs = np.diff(np.concatenate([[0], starts, [flat.size]])).tolist()
    return {"size": [height, width], "polygon": points, "counts": code[0]["counts"].decode(), "runs": runs}


def main() -> None:
    rng = np.random.default_rng(2018)
    TARGET.parent.mkdir(exist_ok=True)
    lines = [json.dumps(case(rng, number)) for number in range(CASES)]
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
