"""One of five fixed recipes, as who has settled on one uses it on every data set; `small_sets.py rank` runs them.

    python bench/fixed_recipe.py RECIPE DATA OUT --images N [--budget 20] [--began SECONDS] [--seed 0]

RECIPE is `lenet5`, `resnet20_cifar` or `resnet9_half`, from scratch; `head`, EfficientNet-Lite0's published weights of
which a new last layer learns; or `tuned`, in which all its layers learn, with the published statistics of its batch
normalisation. Each is a plan of its own through Opsin's Python interface; nothing is chosen by the images except
their size, by the number N of those to learn from, so that the time suffices. Training uses what is left of `--budget`
seconds after `--began` (as `time.time()` gives it), less the three seconds and four per cent that `opsin train` keeps
for its report. Where classes are uneven they are weighted by the square root of their rarity.
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

PUBLISHED = "efficientnet_lite0"
TRUNK = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
RECIPES = ("lenet5", "resnet20_cifar", "resnet9_half", "head", "tuned")

SIDES = (224, 192, 160, 128, 96)
LOOK, STEP = 0.005, 0.022
"""Seconds that an image of 224² takes to look at and to learn from on two cores; less for smaller ones."""

MANY = 600
"""From so many images on, steps of fine-tuning see more of them."""

REPORT, MARGIN = 3.0, 0.04


def side_for(images: int, each: float, seconds: float) -> int:
    """The largest side at which so many images, `each` seconds at 224², fit into the time."""
    fitting = (side for side in SIDES if images * each * (side / 224) ** 2 <= seconds)
    return next(fitting, SIDES[-1])


def loaded(recipe: str, data: str, images: int, seconds: float) -> Dataset:
    """The images as the recipe wants them: so large that all can be looked at once, or learnt from six times."""
    if recipe in ("head", "tuned"):
        share, each = (0.4, LOOK) if recipe == "head" else (0.12, STEP)
        return opsin.data.load(data, preprocessing=preprocessing_of(PUBLISHED, side_for(images, each, share * seconds)))
    return opsin.data.load(data, size=32)


def plan_for(recipe: str, data: Dataset, seed: int) -> TrainingPlan:
    """The recipe as a plan, with more epochs than there may be time for: training makes them fewer."""
    count, counts = len(data.train), [max(1, n) for n in data.train.counts()]
    if recipe not in ("head", "tuned"):
        plan = Recipe(seed=seed).plan(recipe, count)
        return replace(plan, size=32, **_weights(counts))
    if recipe == "head":
        stage = Stage(
            name="head", epochs=max(8, min(60, 60_000 // count)), batch=min(64, count), learning_rate=0.004,
            frozen=TRUNK, features=True, views=1, augment="none",
        )  # fmt: skip
    else:
        layers = nn.named_layers(zoo.find(PUBLISHED)(len(data.classes)))
        norms = tuple(path for path, layer in layers.items() if isinstance(layer, nn.BatchNorm2d))
        stage = Stage(
            epochs=max(6, min(20, 12_000 // count)), batch=min(count, 32 if count >= MANY else 16), learning_rate=5e-4,
            frozen=norms, augment="light",
        )  # fmt: skip
    return TrainingPlan(
        network=PUBLISHED, pretrained=True, size=data.shape[-1], stages=(stage,), seed=seed, weight_decay=0.05,
        smoothing=0.1, **_weights(counts),
    )  # fmt: skip


def _weights(counts: list[int]) -> dict[str, Any]:
    """Weights a class where the images are uneven; their mean over the images is 1."""
    if max(counts) == min(counts) or "class_weights" not in {field.name for field in fields(TrainingPlan)}:
        return {}
    roots = [count**-0.5 for count in counts]
    mean = sum(root * count for root, count in zip(roots, counts, strict=True)) / sum(counts)
    return {"class_weights": tuple(root / mean for root in roots)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe", choices=RECIPES)
    options.add_argument("data")
    options.add_argument("out", type=Path)
    options.add_argument("--images", type=int, required=True, help="of the training part")
    options.add_argument("--budget", type=float, default=20.0, help="seconds")
    options.add_argument("--began", type=float, default=time.time())
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    end = chosen.began + chosen.budget * (1 - MARGIN) - REPORT
    data = loaded(chosen.recipe, chosen.data, chosen.images, end - time.time())
    plan = plan_for(chosen.recipe, data, chosen.seed)
    training = Trainer(plan, data, out=chosen.out, deadline=max(0.5, end - time.time()))
    for _ in training:
        pass
    print(f"{len(training.history)} of at most {plan.epochs} epochs at {data.shape[-1]} × {data.shape[-1]}")


if __name__ == "__main__":
    main()
