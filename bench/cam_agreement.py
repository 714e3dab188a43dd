"""Compare Opsin's class activation maps with those of pytorch-grad-cam, on torchvision's networks.

    python -m venv cam && cam/bin/pip install torch torchvision grad-cam . && cam/bin/python bench/cam_agreement.py

Each network gets random weights and the batch statistics of random images. PyTorch computes in float64, Opsin in
float32 without Winograd's algorithm. The layers are those through which everything passes; torchvision's modules are
matched with them by the values that they compute. The figure is the largest difference of maps from 0 to 1. Maps whose
largest raw value is below 1e-4 are not compared. Some sums of Grad-CAM++ and XGrad-CAM cancel at layers before a ReLU,
where any float32 is far from float64: for those maps, the table also has the difference of PyTorch in float32, and
that of Opsin's formulas applied to PyTorch's float64 values. `--fixtures FOLDER` writes those of
the tests.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_grad_cam as cams
import torch
import torchvision
from common import begin, finish, parser, print_table
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.explain import METHODS as OURS
from opsin.explain import Explainer
from opsin.explain.attribution.display import display_map
from opsin.model import Model
from opsin.tasks.classification import Classification

NETWORKS = (
    "alexnet", "vgg11", "resnet18", "resnet50", "squeezenet1_1", "googlenet", "mobilenet_v2",
    "mobilenet_v3_small", "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0",
)  # fmt: skip
METHODS = {
    "grad-cam": cams.GradCAM, "grad-cam++": cams.GradCAMPlusPlus, "xgrad-cam": cams.XGradCAM,
    "hires-cam": cams.HiResCAM, "layer-cam": cams.LayerCAM,
}  # fmt: skip
SIDE = 128
SMALLEST = 1e-4
"""The largest raw value below which a map is not compared."""
WANTED = 1e-5
"""The largest difference that is expected; of larger ones, PyTorch's own between float32 and float64 is recorded."""
SAME = 1e-3
"""The largest difference of the same feature maps, relative to the largest value: other layers differ by more."""


def torch_network(name: str, seed: int) -> torch.nn.Module:
    """Return one of torchvision's networks with random weights, in float64, in evaluation mode."""
    torch.manual_seed(seed)
    options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, **options)
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(smooth_images(8, seed + 1)).float() / 64 - 2)
    return network.double().eval()


def smooth_images(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return random images with large and small structures, uint8 N × 3 × 128 × 128."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, 3, SIDE, SIDE))
    for size in (4, 16, 64, SIDE):
        total += rng.normal(size=(count, 3, size, size)).repeat(SIDE // size, 2).repeat(SIDE // size, 3)
    return np.clip(128 + 32 * total, 0, 255).astype(np.uint8)


def opsin_model(name: str, network: torch.nn.Module) -> Model:
    """Return the same network in Opsin, with the same weights."""
    layer = zoo.find(name)()
    graph = nn.trace(layer, (3, SIDE, SIDE))
    labels = Classification(tuple(str(number) for number in range(1000)))
    preprocessing = Preprocessing(3, SIDE, SIDE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    model = Model(name, graph, {}, preprocessing, labels, nn.layer_kinds(layer))
    model.load_state({key: value.numpy() for key, value in network.state_dict().items()})
    return model


def outputs_of(network: torch.nn.Module, inputs: torch.Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Return the output of each module that is used once and gives feature maps, by path."""
    found: dict[str, list[np.ndarray[Any, Any]]] = {}
    hooks = []
    for path, module in network.named_modules():

        def keep(_: Any, __: Any, output: Any, path: str = path) -> None:
            if isinstance(output, torch.Tensor):
                found.setdefault(path, []).append(output.detach().numpy())

        hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return {path: each[0] for path, each in found.items() if len(each) == 1 and each[0].ndim == 4}


def compare(name: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the result of each layer and method of a network."""
    network = torch_network(name, seed)
    model = opsin_model(name, network)
    explainer = Explainer(model)
    pixels = smooth_images(1, seed + 2)
    inputs = torch.from_numpy(model.preprocessing.apply(pixels)).double()
    outputs = outputs_of(network, inputs)
    (score,) = explainer.scores(pixels)[0]
    target = [ClassifierOutputTarget(int(score.label))]
    layers = explainer.layers(score).layers
    results = explainer.explain_layers(pixels, [score], list(METHODS), layers)
    for layer, (question, ours) in zip(layers, results, strict=True):
        values = question.features[0]
        same = [
            path for path, output in outputs.items()
            if output.shape == values.shape and np.abs(output - values).max() <= SAME * np.abs(output).max()
        ]  # fmt: skip
        if not same:
            yield {"network": name, "layer": layer.name, "module": None}
            continue
        for method, mine in ours.items():
            theirs = their_map(METHODS[method], network, same[-1], inputs, target)
            difference = float(np.abs(mine[0].display - theirs).max())
            row = {
                "network": name, "layer": layer.name, "module": same[-1], "method": method,
                "largest": float(mine[0].raw.max()), "difference": difference,
            }  # fmt: skip
            if difference > WANTED and row["largest"] >= SMALLEST:
                single = their_map(METHODS[method], copy.deepcopy(network).float(), same[-1], inputs.float(), target)
                row["torch_float32"] = float(np.abs(single - theirs).max())
                exact = replace(question, known={layer: features(network, same[-1], inputs, int(score.label))})
                formula = display_map(OURS[method].compute(exact)[0].values, (SIDE, SIDE))
                row["formula"] = float(np.abs(formula - theirs).max())
            yield row


def their_map(cam: Any, network: torch.nn.Module, path: str, inputs: torch.Tensor, target: list[Any]) -> Any:
    """Return the map of pytorch-grad-cam from 0 to 1, height × width."""
    with cam(model=network, target_layers=[network.get_submodule(path)]) as extractor:
        return extractor(input_tensor=inputs, targets=target)[0]


def features(network: torch.nn.Module, path: str, inputs: torch.Tensor, label: int) -> tuple[Any, Any]:
    """Return the output of a module and the gradient of a logit for it, in float64."""
    with cams.GradCAM(model=network, target_layers=[network.get_submodule(path)]) as extractor:
        extractor(input_tensor=inputs, targets=[ClassifierOutputTarget(label)])
        recorded = extractor.activations_and_grads
        return recorded.activations[0].numpy().copy(), recorded.gradients[0].numpy().copy()


def table_row(name: str, results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return a row of the table: the largest difference by method, and what explains those above `WANTED`."""
    compared = [row for row in results if row["module"] and row["largest"] >= SMALLEST]
    layers = {row["layer"] for row in compared}, {row["layer"] for row in results}
    worst = [max((r["difference"] for r in compared if r["method"] == m), default=0.0) for m in METHODS]
    above = [row for row in compared if row["difference"] > WANTED]
    single, formula = (max((row[key] for row in above), default=0.0) for key in ("torch_float32", "formula"))
    return (
        name, f"{len(layers[0])} of {len(layers[1])}", str(len(compared)), *(f"{value:.1e}" for value in worst),
        str(len(above)), f"{single:.1e}" if above else "", f"{formula:.1e}" if above else "",
    )  # fmt: skip


HEADS = (
    "network", "layers compared", "maps", *METHODS, "above 1e-5", "PyTorch in float32",
    "from PyTorch's values",
)  # fmt: skip


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("networks", nargs="*", default=NETWORKS)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--fixtures", type=Path, help="write the fixtures of the tests to this folder")
    options = arguments.parse_args()
    if options.fixtures:
        write_fixture(options.fixtures)
        return
    record, rows = begin(options), []
    for name in options.networks:
        rows.append(table_row(name, list(compare(name, options.seed))))
        print(" ".join(rows[-1]), flush=True)
    finish(options, record | print_table(HEADS, rows))


def write_fixture(folder: Path) -> None:
    """Write a small network, an image and pytorch-grad-cam's maps of it, a few kilobytes."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * 16, 2),
    ).double().eval()  # fmt: skip
    for parameter in network.parameters():
        parameter.data = parameter.data.float().double()
    inputs = torch.randn(1, 3, 8, 8).float().double()
    arrays = {f"state.{name}": value.float().numpy() for name, value in network.state_dict().items()}
    arrays["inputs"] = inputs.float().numpy()
    for layer in (0, 1, 2, 3, 4):
        for method, cam in METHODS.items():
            for label in range(2):
                found = their_map(cam, network, str(layer), inputs, [ClassifierOutputTarget(label)])
                arrays[f"{method}/{layer}/{label}"] = found.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "pytorch_grad_cam.npz", **arrays)


if __name__ == "__main__":
    main()
