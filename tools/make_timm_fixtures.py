"""Writes tests/zoo/fixtures/timm.npz: the networks that timm has and torchvision has not.

    python -m tools.make_timm_fixtures

in the repository's root, with torchvision and timm installed (timm 1.0.31 made the file that is there). What is in the
file, and how it is made, is described in `tools/make_zoo_fixtures.py`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import timm
import torch
from tools import make_zoo_fixtures
from tools.make_zoo_fixtures import evaluate, fill, step

FILE = make_zoo_fixtures.FILE.parent / "timm.npz"
NETWORKS = {"mobilenet_v1": "mobilenetv1_100"} | {
    f"efficientnet_lite{number}": f"tf_efficientnet_lite{number}" for number in range(5)
}
"""timm's names of our networks."""
MOMENTA = {"efficientnet_lite0": 0.01}
"""Of running statistics, where timm's are not those of the network's authors."""
COMPUTED = ("mobilenet_v1", "efficientnet_lite0")
"""The others are larger versions of the last; of them there are only the variables."""


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, theirs in NETWORKS.items():
        with torch.device("meta"):
            module = timm.create_model(theirs, bn_momentum=MOMENTA.get(name, 0.1))
        shapes = fill(module, name)
        found[f"{name}/variables"] = np.frombuffer(json.dumps(shapes).encode(), np.uint8)
        if name in COMPUTED:
            results = evaluate(module) | step(module, list(shapes))
            found |= {f"{name}/{key}": np.asarray(value) for key, value in results.items()}
            print(f"{name:20} logits within ±{np.abs(results['logits']).max():.3g}, loss {results['loss']}")
    np.savez_compressed(FILE, **found)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
