"""Faithfulness of Opsin's attribution methods on photos, next to pytorch-grad-cam's Grad-CAM on the same network.

    python -m venv cam && cam/bin/pip install torch timm grad-cam 'opsin[imagenet]' scikit-image
    cam/bin/python bench/faithfulness.py PHOTO… [--images 40] [--json FILE]

PHOTO are image files, or folders of them; the sample photos of scikit-image are added if it is installed. Those count
of which EfficientNet-Lite0 with its published weights is sure: the probability of its answer is at least one half. The
recorded figures are those of photos that were not used to choose the default method.
Every map is measured by the same protocol (`opsin.explain.faithfulness`). PyTorch runs the same weights in timm's
network; its Grad-CAM is that of the last feature maps, and of the last block, which examples often take. Bounds are
those of 95 % of the bootstrap distribution over images.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from common import begin, finish, parser, print_table
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import opsin
from opsin.explain import METHODS, Explainer
from opsin.explain.faithfulness import Comparison, Confidence, Faithfulness, measure, measure_baselines
from opsin.explain.faithfulness.comparison import MAIN, bootstrap
from opsin.explain.faithfulness.measurement import METRICS
from opsin.model import Model
from opsin.model.inputs import read_images

NETWORK, TIMM = "efficientnet_lite0", "tf_efficientnet_lite0"
SURE = 0.5
TORCH_LAYERS = {"pytorch-grad-cam, last maps": "bn2.act", "pytorch-grad-cam, last block": "blocks.6"}
SAMPLES = (
    "astronaut", "camera", "chelsea", "coffee", "rocket", "horse", "coins", "moon", "retina", "hubble_deep_field",
    "clock_motion", "brick", "grass", "gravel", "cell", "page",
)  # fmt: skip


def photos(sources: list[Path]) -> list[Path]:
    """Return image files: the sample photos first, then those of folders in the order of their names."""
    found = [path for source in sources for path in (sorted(source.rglob("*")) if source.is_dir() else [source])]
    files = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    spec = find_spec("skimage")
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "data"
        files = [path for path in sorted(folder.iterdir()) if path.stem in SAMPLES and path.suffix != ".npz"] + files
    return files


def sure_images(model: Model, files: list[Path], count: int) -> tuple[Any, list[Any]]:
    """Return pixels and scores of at most `count` evenly spaced images of which the model is sure."""
    answers = model.predict(files, top=1)
    chosen = [path for path, answer in zip(files, answers, strict=True) if answer.probability >= SURE]
    places = np.unique(np.linspace(0, len(chosen) - 1, min(count, len(chosen))).astype(int))
    chosen = [chosen[place] for place in places]
    pixels, _ = read_images(chosen, model.preprocessing)
    print(f"{len(files)} photos, of which {len(chosen)} are measured", flush=True)
    return pixels, [each[0] for each in Explainer(model).scores(pixels)]


def torch_network(model: Model) -> torch.nn.Module:
    """Return timm's network with the weights of `model`, in float64."""
    network = timm.create_model(TIMM, pretrained=False)
    network.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in model.state.items()})
    return network.double().eval()


def measured(
    model: Model, pixels: Any, scores: list[Any], methods: list[str]
) -> tuple[dict[str, list[Faithfulness]], list[dict[str, list[Faithfulness]]]]:
    """Return the results of each map, and those of the baselines, for every image."""
    explainer, network = Explainer(model), torch_network(model)
    inputs = model.preprocessing.apply(pixels)
    results: dict[str, list[Faithfulness]] = {name: [] for name in (*methods, *TORCH_LAYERS)}
    baselines = []
    for number, score in enumerate(scores):
        confidence = Confidence(explainer.observer, score, inputs[number])
        ours = explainer.explain(pixels[number : number + 1], [score], methods)
        maps = {name: found[0].display for name, found in ours.items()}
        target = [ClassifierOutputTarget(int(score.weights["logits"].argmax()))]
        batch = torch.from_numpy(inputs[number : number + 1]).double()
        for name, path in TORCH_LAYERS.items():
            with GradCAM(model=network, target_layers=[network.get_submodule(path)]) as cam:
                maps[name] = cam(input_tensor=batch, targets=target)[0].astype(np.float64)
        for name, display in maps.items():
            results[name].append(measure(confidence, display))
        baselines.append(measure_baselines(confidence))
        print(f"{number + 1} of {len(scores)}: {score.label}", flush=True)
    return results, baselines


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("photos", nargs="+")
    arguments.add_argument("--images", type=int, default=40)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    options = arguments.parse_args()
    record, model = begin(options), opsin.pretrained(NETWORK)
    pixels, scores = sure_images(model, photos([Path(each) for each in options.photos]), options.images)
    comparison = Comparison.of(*measured(model, pixels, scores, options.methods))
    reference = next(iter(TORCH_LAYERS))
    rows = []
    for name in (*comparison.methods, *comparison.baselines):
        figures = [str(comparison.figure(name, metric)) for metric in METRICS]
        more = ["", ""]
        if name in comparison.methods:
            gain = bootstrap(comparison.methods[name][MAIN] - comparison.methods[reference][MAIN])
            more = [str(gain), ", ".join(comparison.unbeaten(name))]
        rows.append([name, *figures, *more])
    heads = ["map", *METRICS.values(), f"minus {reference}", "does not beat"]
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
