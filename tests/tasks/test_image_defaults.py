"""Which images are small: planning, augmentation and tasks must agree, or they would shift what they also crop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import opsin
from opsin.data.augment import preset
from opsin.planning import networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.tasks.image_defaults import MAX_SMALL_SIDE, image_defaults
from opsin.tasks.self_supervised import SelfSupervised
from opsin.tasks.task import ImageSummary
from tests.planning.fake_machine import FakeMachine


def test_one_limit_holds_everywhere() -> None:
    largest, machine = MAX_SMALL_SIDE, FakeMachine(weights=("efficientnet_lite0",))
    assert preset("light", (3, largest, largest)).shift and not preset("light", (3, largest + 1, largest + 1)).shift
    photos = DatasetSummary(300, 40, 2, 100, largest, grey=False, resizable=True, largest=200)
    choices = [networks.choose_network(replace(photos, side=side), TrainOptions(pretrained=None), machine)
               for side in (largest, largest + 1)]  # fmt: skip
    assert [choice.pretrained for choice in choices] == [False, True]
    summaries = [ImageSummary(300, side, False, {}) for side in (largest, largest + 1)]
    assert [image_defaults(summary).pretrained for summary in summaries] == [False, True]
    assert SelfSupervised.defaults(summaries[1]).side == largest
    source = Path(opsin.__file__).parent
    assert [path.name for path in source.rglob("*.py") if "\nMAX_SMALL_SIDE = " in path.read_text()] == [
        "image_defaults.py"
    ]
