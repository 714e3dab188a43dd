"""Compare Opsin's class activation maps with those of pytorch-grad-cam, on torchvision's networks.

    python -m venv cam && cam/bin/pip install torch torchvision grad-cam . && cam/bin/python bench/cam_agreement.py

Each network gets random weights and the batch statistics of random images. PyTorch computes in float64, Opsin in
float64 and in float32 without Winograd's algorithm. The layers are those through which everything passes; torch.fx
finds the same ones in torchvision's network by the values that they compute. The figure is the largest difference of
maps from 0 to 1. Maps whose largest raw value is below 1e-4 are not compared. At layers before a ReLU some sums of
Grad-CAM++ and XGrad-CAM cancel, and the last digits of any float32 decide the map: Opsin marks those
(`opsin.explain.attribution.rounding`), and the table has their number, the number of maps that are more than 0.01 off
and not marked, and the largest difference of PyTorch in float32. `--fixtures FOLDER` writes the maps that the tests
read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_grad_cam as cams
import torch
import torch.fx
import torchvision
from common import begin, finish, parser, print_table
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.explain import Explainer
from opsin.explain.attribution.rounding import MAX_CHANGE
from opsin.explain.observer import Observer
from opsin.model import Model
from opsin.tasks.classification import Classification

NETWORKS = (
    "alexnet", "resnet18", "resnet50", "squeezenet1_1", "googlenet", "mobilenet_v2",
    "mobilenet_v3_small", "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0", "vgg11",
)  # fmt: skip
METHODS = {
    "grad-cam": cams.GradCAM, "grad-cam++": cams.GradCAMPlusPlus, "xgrad-cam": cams.XGradCAM,
    "hires-cam": cams.HiResCAM, "layer-cam": cams.LayerCAM,
}  # fmt: skip
SIDE = 128
SMALLEST = 1e-4
"""The largest raw value below which a map is not compared."""
SAME = 1e-9
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
    return np.clip(128 + 16 * total, 0, 255).astype(np.uint8)


def opsin_model(name: str, network: torch.nn.Module) -> Model:
    """Return the same network in Opsin, with the same weights."""
    layer = zoo.find(name)()
    graph = nn.trace(layer, (3, SIDE, SIDE))
    labels = Classification(tuple(str(number) for number in range(1000)))
    preprocessing = Preprocessing(3, SIDE, SIDE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    model = Model(name, graph, {}, preprocessing, labels, nn.layer_kinds(layer))
    model.load_state({key: value.numpy() for key, value in network.state_dict().items()})
    return model


def with_probes(network: torch.nn.Module, inputs: torch.Tensor) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Return the network with an identity layer behind each operation that gives feature maps, and their values."""
    traced = torch.fx.symbolic_trace(network)
    for node in list(traced.graph.nodes):
        node.kwargs = {key: False if key == "inplace" else value for key, value in node.kwargs.items()}
        if node.op not in ("placeholder", "output"):
            traced.add_submodule(f"probe_{node.name}", Probe())
            with traced.graph.inserting_after(node):
                probe = traced.graph.call_module(f"probe_{node.name}", (node,))
            node.replace_all_uses_with(probe, lambda user, probe=probe: user is not probe)
    traced.recompile()
    values: dict[str, Any] = {}
    for name, module in traced.named_children():
        if isinstance(module, Probe):
            module.register_forward_hook(lambda module, _, output, name=name: values.setdefault(name, output))
    with torch.no_grad():
        traced(inputs)
    maps = {name: value.numpy() for name, value in values.items() if torch.is_tensor(value) and value.ndim == 4}
    for module in traced.children():
        module._forward_hooks.clear()
    return traced, maps


class Probe(torch.nn.Module):
    """Returns what it is given, so that a layer has a module of its own."""

    def forward(self, x: Any) -> Any:
        return x


def compare(name: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the result of each layer and method of a network."""
    network = torch_network(name, seed)
    model = opsin_model(name, network)
    pixels = smooth_images(1, seed + 2)
    inputs = torch.from_numpy(model.preprocessing.apply(pixels)).double()
    network, outputs = with_probes(network, inputs)
    single = copy.deepcopy(network).float()
    double, ours = (Explainer(model, Observer(model, precision=precision)) for precision in ("float64", "float32"))
    (score,) = double.scores(pixels)[0]
    target = [ClassifierOutputTarget(int(score.label))]
    layers = double.layers(score).layers
    exact, results = (each.explain_layers(pixels, [score], list(METHODS), layers) for each in (double, ours))
    matches = {
        layer: matching(outputs, question.features[0]) for layer, (question, _) in zip(layers, exact, strict=True)
    }
    paths = [path for path in outputs if path in set(matches.values())]
    theirs = {method: their_maps(cam, network, paths, inputs, target) for method, cam in METHODS.items()}
    floats = {method: their_maps(cam, single, paths, inputs.float(), target) for method, cam in METHODS.items()}
    for layer, (_, maps), (_, rounded) in zip(layers, exact, results, strict=True):
        path = matches[layer]
        if path is None:
            yield {"network": name, "layer": layer.name, "module": None}
            continue
        for method in METHODS:
            expected, result = theirs[method][path], rounded[method][0]
            yield {
                "network": name, "layer": layer.name, "module": path, "method": method,
                "largest": float(maps[method][0].raw.max()),
                "float64": float(np.abs(maps[method][0].display - expected).max()),
                "float32": float(np.abs(result.display - expected).max()),
                "torch_float32": float(np.abs(floats[method][path] - expected).max()),
                "rounding": result.details["rounding"], "marked": "remark" in result.details,
            }  # fmt: skip


def matching(outputs: dict[str, Any], values: np.ndarray[Any, Any]) -> str | None:
    """Return the last of the `outputs` that are equal to `values`; None if there is none."""
    same = [
        path for path, output in outputs.items()
        if output.shape == values.shape and np.abs(output - values).max() <= SAME * np.abs(output).max()
    ]  # fmt: skip
    return same[-1] if same else None


def their_maps(
    cam: Any, network: torch.nn.Module, paths: list[str], inputs: torch.Tensor, target: list[Any]
) -> dict[str, Any]:
    """Return pytorch-grad-cam's map of each of several modules in the order of computation, from one run."""
    with cam(model=network, target_layers=[network.get_submodule(path) for path in paths]) as extractor:
        extractor(input_tensor=inputs, targets=target)
        layers = extractor.compute_cam_per_layer(inputs, target, False)
        return {path: extractor.aggregate_multi_layers([each])[0] for path, each in zip(paths, layers, strict=True)}


def table_row(name: str, results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return a row of the table."""
    compared = [row for row in results if row["module"] and row["largest"] >= SMALLEST]
    matched, layers = ({row["layer"] for row in results if row["module"] or every} for every in (False, True))

    def worst(precision: str, *methods: str) -> str:
        return f"{max((row.get(precision, 0.0) for row in compared if row['method'] in methods), default=0.0):.1e}"

    far = [row for row in compared if row["float32"] > MAX_CHANGE]
    return (
        name, f"{len(matched)} of {len(layers)}", str(len(compared)), worst("float64", *METHODS),
        worst("float32", "grad-cam", "hires-cam", "layer-cam"), worst("float32", "grad-cam++"),
        worst("float32", "xgrad-cam"), worst("torch_float32", *METHODS), str(sum(row["marked"] for row in compared)),
        f"{sum(not row['marked'] for row in far)} of {len(far)}",
    )  # fmt: skip


HEADS = (
    "network", "layers", "maps", "float64", "float32: Grad-CAM, HiResCAM, Layer-CAM", "float32: Grad-CAM++",
    "float32: XGrad-CAM", "PyTorch in float32", "marked", "above 0.01 and not marked",
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
    results = record["results"] = []
    for name in options.networks:
        results += (found := list(compare(name, options.seed)))
        rows.append(table_row(name, found))
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
                found = their_maps(cam, network, [str(layer)], inputs, [ClassifierOutputTarget(label)])[str(layer)]
                arrays[f"{method}/{layer}/{label}"] = found.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "pytorch_grad_cam.npz", **arrays)


if __name__ == "__main__":
    main()
