"""Five fixed recipes, each used unchanged on every dataset; `small_sets.py rank` runs them.

    python bench/fixed_recipe.py RECIPE DATA OUT --images N [--budget 20] [--started-at SECONDS] [--seed 0]

RECIPE is `lenet5`, `resnet20_cifar` or `resnet9_half`, trained from scratch; `head`, a new last layer on
EfficientNet-Lite0's published weights; or `tuned`, fine-tuning of all its layers with frozen batch normalization. Each
is a plan made with Opsin's Python interface. Only the size of the images depends on the data: it follows from the
number N of training images, so that the time suffices. Training takes what remains of `--budget` seconds after
`--started-at` (a value of `time.time()`), less the three seconds and four percent that `opsin train` reserves for its
report. Unbalanced classes are weighted by one over the square root of their size.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import opsin
from opsin import nn, zoo
from opsin.data import Dataset
from opsin.model.pretrained import preprocessing_of
from opsin.training import Recipe, Stage, Trainer, TrainingPlan

PRETRAINED_NETWORK = "efficientnet_lite0"
BACKBONE = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
RECIPES = ("lenet5", "resnet20_cifar", "resnet9_half", "head", "tuned")

SIDES = (224, 192, 160, 128, 96)
FORWARD_SECONDS, STEP_SECONDS = 0.005, 0.022
"""A forward pass and a training step per image of 224² on two cores."""

MIN_IMAGES_FOR_LARGE_BATCH = 600
"""With this many images, fine-tuning takes larger batches."""

REPORT_SECONDS = 3.0
MARGIN = 0.04


def side_for(images: int, image_seconds: float, seconds: float) -> int:
    """Return the largest side at which the images, `image_seconds` each at 224², fit into `seconds`."""
    fitting = (side for side in SIDES if images * image_seconds * (side / 224) ** 2 <= seconds)
    return next(fitting, SIDES[-1])


def load(recipe: str, data: str, images: int, seconds: float) -> Dataset:
    """Load the images for the recipe, as large as the time allows: for one forward pass, or for six epochs."""
    if recipe in ("head", "tuned"):
        share, image_seconds = (0.4, FORWARD_SECONDS) if recipe == "head" else (0.12, STEP_SECONDS)
        side = side_for(images, image_seconds, share * seconds)
        return opsin.data.load(data, preprocessing=preprocessing_of(PRETRAINED_NETWORK, side))
    return opsin.data.load(data, size=32)


def policy_for(recipe: str, data: Dataset, seed: int) -> TrainingPlan:
    """Return the recipe as a plan. If there is no time for all its epochs, training shortens it."""
    count, counts = len(data.train), [max(1, n) for n in data.train.counts()]
    if recipe not in ("head", "tuned"):
        plan = Recipe(seed=seed).plan(recipe, count)
        return replace(plan, size=32, **_weights(counts))
    if recipe == "head":
        stage = Stage(
            name="head", epochs=max(8, min(60, 60_000 // count)), batch=min(64, count), learning_rate=0.004,
            frozen=BACKBONE, features=True, views=1, augment="none",
        )  # fmt: skip
    else:
        layers = nn.named_layers(zoo.find(PRETRAINED_NETWORK)(len(data.classes)))
        norms = tuple(path for path, layer in layers.items() if isinstance(layer, nn.BatchNorm2d))
        batch = 32 if count >= MIN_IMAGES_FOR_LARGE_BATCH else 16
        stage = Stage(
            epochs=max(6, min(20, 12_000 // count)), batch=min(count, batch), learning_rate=5e-4, frozen=norms,
            augment="light",
        )  # fmt: skip
    return TrainingPlan(
        network=PRETRAINED_NETWORK, pretrained=True, size=data.shape[-1], stages=(stage,), seed=seed, weight_decay=0.05,
        label_smoothing=0.1, **_weights(counts),
    )  # fmt: skip


def _weights(counts: list[int]) -> dict[str, Any]:
    """Return class weights if the classes are unbalanced; their mean over the images is 1."""
    if max(counts) == min(counts) or "class_weights" not in {field.name for field in fields(TrainingPlan)}:
        return {}
    roots = [count**-0.5 for count in counts]
    mean = sum(root * count for root, count in zip(roots, counts, strict=True)) / sum(counts)
    return {"class_weights": tuple(root / mean for root in roots)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, required=True, help="number of training images")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds")
    parser.add_argument("--started-at", type=float, default=time.time())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    deadline = options.started_at + options.budget * (1 - MARGIN) - REPORT_SECONDS
    data = load(options.recipe, options.data, options.images, deadline - time.time())
    plan = policy_for(options.recipe, data, options.seed)
    trainer = Trainer(plan, data, out=options.out, deadline=max(0.5, deadline - time.time()))
    for _ in trainer:
        pass
    print(f"{len(trainer.history)} of at most {plan.epochs} epochs at {data.shape[-1]} × {data.shape[-1]}")


if __name__ == "__main__":
    main()
