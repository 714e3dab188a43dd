"""Convert the results of `opsin bench --json` into a record for `bench/results`.

    opsin bench --train --rounds 5 --peer pytorch=PYTHON --json speed.json
    python bench/speed_record.py speed.json --json bench/results/training_speed.json
    python tools/tables.py

`--task infer` converts inference (`prediction_speed.json`). Opsin is compared with the fastest peer in float32, or with
`--any-precision` in the fastest of its precisions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import record as records
from common import parser, print_table

TRAIN = ("network", "batch", "Opsin, images/s", "PyTorch mode", "PyTorch, images/s", "ratio", "MAC peak")
INFER = ("network", "batch", "Opsin, images/s", "fastest other library", "images/s", "ratio", "MAC peak")
NAMES = {
    "lenet5": "LeNet-5", "resnet20_cifar": "ResNet-20 (CIFAR)", "alexnet": "AlexNet", "vgg16": "VGG-16",
    "googlenet": "GoogLeNet", "resnet18": "ResNet-18", "resnet50": "ResNet-50", "mobilenet_v2": "MobileNetV2",
    "efficientnet_lite0": "EfficientNet-Lite0", "unet": "U-Net", "unet_light": "U-Net on EfficientNet-Lite0",
    "lraspp_mobilenet_v3_large": "LR-ASPP", "fcn_resnet50": "FCN (ResNet-50)", "ssd300_vgg16": "SSD300",
    "ssdlite320_mobilenet_v3_large": "SSDLite320", "fcos_efficientnet_lite0": "FCOS (EfficientNet-Lite0)",
    "pilotnet": "PilotNet",
}  # fmt: skip
"""The networks' names in the documentation."""


def row(case: Mapping[str, Any], any_precision: bool = False) -> list[str]:
    """Return the row of one case; cells are empty if no peer was measured."""
    figures = {each["title"]: each for each in case["figures"]}
    suffix = "_any_precision" if any_precision else ""
    peer, ratio, share = (
        figures.get(case[f"best_peer{suffix}"]),
        case[f"ratio{suffix}"],
        case[f"share_of_peak{suffix}"],
    )
    own = figures[case["opsin_any_precision"] if any_precision else "Opsin"]
    return [
        NAMES.get(case["network"], case["network"]), str(case["batch"]),
        rate(case, own) + (f" ({own['precision']})" if any_precision else ""),
        title(peer, case["task"]) if peer else "", rate(case, peer) if peer else "",
        f"{ratio['median']:.2f} ({ratio['minimum']:.2f} to {ratio['maximum']:.2f})" if ratio else "",
        f"{share:.0%}" if share else "",
    ]  # fmt: skip


def rate(case: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Return images per second in at least three digits."""
    images = case["batch"] / median(figures["seconds"])
    return f"{images:,.0f}" if images >= 100 else f"{images:.3g}"


def title(peer: Mapping[str, Any], task: str) -> str:
    """Return the peer's library, or only its mode if the table is about one library."""
    mode = peer["title"].removeprefix(peer["library"]).strip().replace(" ", ", ")
    return mode if task == "train" else peer["library"]


def convert(data: Mapping[str, Any], task: str, any_precision: bool = False) -> dict[str, Any]:
    """Return the record of all cases of a task."""
    rows = [row(case, any_precision) for case in data["results"] if case["task"] == task]
    head = {"machine": data["machine"], "date": data["date"], "command": data["command"], "commit": records.commit()}
    return head | print_table(TRAIN if task == "train" else INFER, rows)


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("results", type=Path, metavar="BENCH_JSON")
    command.add_argument("--task", choices=("train", "infer"), default="train")
    command.add_argument("--any-precision", action="store_true")
    options = command.parse_args()
    data = json.loads(options.results.read_text(encoding="utf-8"))
    record = convert(data, options.task, options.any_precision)
    if options.json:
        records.write(options.json, record)


if __name__ == "__main__":
    main()
