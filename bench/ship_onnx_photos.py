"""Do files of `opsin ship --to onnx --resize` resize photographs as Opsin does?

    python bench/ship_onnx_photos.py MODEL FOLDER [--images 500] [--json FILE]

Evenly chosen JPEGs in FOLDER are given to ONNX Runtime as Pillow decodes them. Counted are the images whose pixels for
the network are those of Opsin's portable resizing, and those with the class of `opsin predict`, in both its forms.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import onnxruntime
from common import begin, finish, parser, print_table
from PIL import Image

import opsin
from opsin.data.preprocessing import portable_preprocessing

COLUMNS = (
    "photographs", "same pixels", "other bytes", "class of predict --portable", "class of predict",
    "ms an image, median",
)  # fmt: skip


def session(model: opsin.Model) -> onnxruntime.InferenceSession:
    """Return the file of a model with the resized pixels as a second output."""
    file = onnx.load_from_string(opsin.ship(model, "onnx", resize=True).files["model.onnx"])
    names = [node.output[0] for node in file.graph.node if node.op_type == "Clip"]
    file.graph.output.append(onnx.helper.make_tensor_value_info(names[0], onnx.TensorProto.FLOAT, None))
    return onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("model")
    arguments.add_argument("folder")
    arguments.add_argument("--images", type=int, default=500)
    options = arguments.parse_args()
    record = begin(options)
    model = opsin.load(options.model)
    runtime, portable = session(model), portable_preprocessing(model.preprocessing)
    paths = sorted(Path(options.folder).rglob("*.jpg"))
    paths = paths[:: max(1, len(paths) // options.images)][: options.images]
    same, differences, times = np.zeros((len(paths), 2), bool), [], []
    for number, path in enumerate(paths):
        image = Image.open(path).convert("RGB")
        start = perf_counter()
        logits, pixels = runtime.run(None, {"images": np.asarray(image)[None]})
        times.append(perf_counter() - start)
        expected = portable.read(image, path.name)
        answers = [model.logits(each[None]).argmax() for each in (expected, model.preprocessing.read(image, path.name))]
        differences.append(np.abs(pixels[0] - expected))
        same[number] = [logits.argmax() == answer for answer in answers]
    others = np.mean([np.mean(each > 0) for each in differences])
    row = (
        f"{len(paths):,}", f"{sum(not each.any() for each in differences):,}",
        f"{1e6 * others:.1f} in a million, by {max(each.max() for each in differences):.0f}",
        *(f"{count:,}" for count in same.sum(axis=0)), f"{1000 * np.median(times):.1f}",
    )  # fmt: skip
    finish(options, record | print_table(COLUMNS, [row]))


if __name__ == "__main__":
    main()
