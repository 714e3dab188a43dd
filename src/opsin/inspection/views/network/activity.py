"""What channels react to most in the data: real images, with the part that a channel saw, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opsin.explain.channels import STRONGEST, ChannelActivity, observe_channels, seen_pixels
from opsin.explain.stages import Stage
from opsin.inspection.images import dataset_names
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.sprites import sprite
from opsin.inspection.subject import Subject
from opsin.nn.receptive_field import receptive_spans

MAX_THUMBNAILS = 300
"""Different images that are shown for all channels together."""


def activity_of(
    subject: Subject, channels: Mapping[Stage, Sequence[int]], max_bytes: int, arrays: Arrays
) -> dict[str, Any] | None:
    """Return the strongest images of `channels` of each stage, and sentences about all channels; None without data.

    `max_bytes` limits the sheet of thumbnails. Of each image there is the activation, and the first and last
    row and column that the channel saw, as shares of the image's size.
    """
    if subject.data is None:
        return None
    subject.progress("what channels react to")
    images = subject.data.all_images()
    activities = observe_channels(subject.observer, subject.stages, images.pixels)
    if not activities:
        return None
    places = _thumbnails(activities, channels)
    names = dataset_names(subject.data, images)
    sheet = sprite(images.single().pixels, list(places), max_bytes)
    return {
        "sprite": sheet.to_data(), "names": [names[n] for n in places],
        "stages": [_stage_data(subject, each, channels[each.stage], places, arrays) for each in activities],
    }  # fmt: skip


def _thumbnails(activities: Sequence[ChannelActivity], channels: Mapping[Stage, Sequence[int]]) -> dict[int, int]:
    """Return the places of images among the thumbnails, by their numbers: the strongest of every channel come first."""
    places: dict[int, int] = {}
    for rank in range(STRONGEST):
        for activity in activities:
            for number in activity.numbers[list(channels[activity.stage]), rank : rank + 1].ravel().tolist():
                if number not in places and len(places) < MAX_THUMBNAILS:
                    places[number] = len(places)
    return places


def _stage_data(
    subject: Subject, activity: ChannelActivity, channels: Sequence[int], places: Mapping[int, int], arrays: Arrays
) -> dict[str, Any]:
    """Return values and thumbnails (channels × ranks; -1: left out), and what was seen (channels × ranks × 4)."""
    chosen = list(channels)
    spans = receptive_spans(subject.model.graph)[activity.step.output]
    seen = [[seen_pixels(spans, *place) for place in row] for row in activity.places[chosen].tolist()]
    height, width = subject.model.preprocessing.input_shape[1:]
    low, high = np.array(seen, np.float32)[..., [0, 2]], np.array(seen, np.float32)[..., [1, 3]] + 1
    thumbnails = [[places.get(number, -1) for number in row] for row in activity.numbers[chosen].tolist()]
    dead = set(activity.dead) | set(activity.saturated)
    return {
        "stage": activity.stage.number, "channels": chosen, "count": len(activity.values),
        "sentences": activity.sentences(),
        "images": activity.images, "available": activity.available, "remarkable": sorted(dead),
        "values": arrays.add(activity.values[chosen]), "thumbnails": arrays.add(np.array(thumbnails, np.int32)),
        "seen": arrays.add(np.concatenate([low, high], axis=2) / np.array([height, width] * 2, np.float32)),
    }  # fmt: skip
