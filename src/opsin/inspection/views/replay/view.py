"""A slider through training: kernels, feature maps, answers and curves."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from opsin.explain.observer import Floats
from opsin.explain.stages import Stage
from opsin.inspection.images import image_name
from opsin.inspection.page.arrays import FLOAT_BYTES, Arrays
from opsin.inspection.subject import Subject
from opsin.inspection.views.network.maps import Form, Maps, as_bytes
from opsin.inspection.views.replay.frames import Replay, computable, replayed
from opsin.ir import Tensor
from opsin.report.thumbnails import thumbnail
from opsin.tasks.classification import Classification
from opsin.viz import captions

KERNEL_SHARE, MAP_SHARE = 0.08, 0.15
"""Shares of a page's bytes."""

MAX_KERNELS, MAX_KERNEL_INPUTS, MAX_KERNEL_LAYERS = 16, 4, 3
"""Filters of a layer, inputs of a filter, and layers, whose kernels are replayed."""

MAX_IMAGES, MAX_STAGES, MAX_CHANNELS = 3, 4, 8
"""Images, and of each the stages and channels, whose feature maps are replayed."""

TOP_LABELS = 5
"""Labels whose probabilities are shown: the most probable ones at the end."""

MAP_KINDS = (captions.CONV, captions.DEPTHWISE, captions.ADD, captions.MAX_POOL, captions.AVERAGE_POOL)


class ReplayView:
    """The network at each snapshot of its training."""

    name: ClassVar[str] = "replay"
    title: ClassVar[str] = "How it learned"

    def markup(self, subject: Subject) -> str:
        return ""

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return the kernels, feature maps and probabilities of every frame, and the curves of the run."""
        if subject.replay is None:
            return None
        subject.progress("replay of the training")
        replay: Replay = subject.replay
        kernels, all_kernels = _kernels(subject, replay, arrays)
        stages = computable(subject.model.graph, subject.stages, list(replay.frames[-1].weights))
        complete = len(replay.frames[-1].weights) == len(subject.model.graph.variables)
        left_out = "" if all_kernels and complete else "the first kernels and stages of the replay"
        return {
            "steps": [frame.step for frame in replay.frames], "epochs": [frame.epoch for frame in replay.frames],
            "curves": [{"name": name, "points": points} for name, points in replay.curves.items()],
            "kernels": kernels, "complete": complete, "left_out": left_out,
            "images": min(len(subject.images), MAX_IMAGES),
            **_computed(subject, replay, stages, complete, arrays), "held_out": _held_out(subject, replay, arrays),
        }  # fmt: skip


def _kernels(subject: Subject, replay: Replay, arrays: Arrays) -> tuple[list[dict[str, Any]], bool]:
    """Return the kernels of the first convolutions in every frame, and whether these are all kernels."""
    weights = replay.frames[0].weights
    layers = [name for name, array in weights.items() if array.ndim == 4 and array.shape[2] * array.shape[3] > 1]
    shown, cut, remaining = [], False, int(KERNEL_SHARE * subject.budget)
    for name in layers[:MAX_KERNEL_LAYERS]:
        filters, inputs, *_ = weights[name].shape
        kernel = FLOAT_BYTES * len(replay.frames) * prod(weights[name].shape[2:])
        inputs = min(inputs, MAX_KERNEL_INPUTS)
        filters = min(filters, MAX_KERNELS, remaining // (kernel * inputs))
        if not filters:
            break
        chosen = np.stack([frame.weights[name][:filters, :inputs] for frame in replay.frames]).astype(np.float32)
        remaining -= chosen.nbytes
        cut |= chosen.shape[1:3] != weights[name].shape[:2]
        shown.append({"name": name, "values": arrays.add(chosen), "of": list(weights[name].shape[:2])})
    count = sum(array.ndim == 4 for array in subject.model.state.values())
    return shown, len(shown) == count and not cut


def _is_map(tensor: Tensor) -> bool:
    """Whether a tensor has rows and columns: the average of a whole map has one place."""
    return tensor.rank == 4 and max(int(str(size)) for size in tensor.shape[2:]) > 1


def _computed(subject: Subject, replay: Replay, stages: list[Stage], complete: bool, arrays: Arrays) -> dict[str, Any]:
    """Return feature maps of the first stages, and the probabilities of labels if the weights are `complete`."""
    shown = [stage for stage in stages if stage.unit.kind in MAP_KINDS and _is_map(stage.output)][:MAX_STAGES]
    tensors: list[Tensor] = [stage.output for stage in shown]
    outputs = subject.model.graph.outputs if complete else {}
    inputs = subject.model.preprocessing.apply(subject.pixels[:MAX_IMAGES])
    values = replayed(subject.model, inputs, replay.frames, [*tensors, *outputs.values()])
    max_bytes = int(MAP_SHARE * subject.budget) // max(1, len(shown))
    maps = [_maps(stage, np.stack([frame[n] for frame in values]), max_bytes, arrays) for n, stage in enumerate(shown)]
    data: dict[str, Any] = {"maps": maps}
    if complete and hasattr(subject.model.task, "probabilities"):
        per_frame = [dict(zip(outputs, frame[len(shown) :], strict=True)) for frame in values]
        model = subject.model
        probabilities = np.stack([model.task.probabilities(each, model.calibration) for each in per_frame])
        labels = np.argsort(-probabilities[-1].max(axis=0), kind="stable")[:TOP_LABELS]
        data |= {
            "labels": [int(label) for label in labels],
            "probabilities": arrays.add(probabilities[:, :, labels].astype(np.float32)),
        }
    return data


def _held_out(subject: Subject, replay: Replay, arrays: Arrays) -> dict[str, Any] | None:
    """Return the answers to held-out images (frames × images) that were recorded in training; None if none were."""
    first, images = replay.frames[0], replay.images
    if not all(frame.outputs for frame in replay.frames):
        return None
    names = images.names if images else [image_name(first.split, number) for number in first.images]
    data = {
        "names": list(names), "truth": list(images.truth) if images else None,
        "thumbnails": [thumbnail(pixels) for pixels in images.pixels] if images else None,
    }  # fmt: skip
    task, calibration = subject.model.task, subject.model.calibration
    if task.name != Classification.name:
        sizes = [subject.model.preprocessing.size] * len(first.images)
        answers = [task.answers(frame.outputs, sizes, calibration, None) for frame in replay.frames]
        return data | {"texts": [[answer.summary() for answer in every] for every in answers]}
    probabilities = np.stack([task.probabilities(frame.outputs, calibration) for frame in replay.frames])
    return data | {
        "answers": arrays.add(probabilities.argmax(axis=2).astype(np.int32)),
        "probabilities": arrays.add(probabilities.max(axis=2).astype(np.float32)),
    }


def _maps(stage: Stage, values: Floats, max_bytes: int, arrays: Arrays) -> dict[str, Any]:
    """Return the maps of a stage (frames × images × C × H × W) as bytes with one scale for all frames."""
    frames, images, channels = values.shape[:3]
    for reduction in (1, 2, 4, 8):
        size = prod(-(-side // reduction) for side in values.shape[3:])
        count = min(channels, MAX_CHANNELS, max_bytes // (frames * images * size))
        if count >= min(channels, MAX_CHANNELS // 2):
            break
    strongest = np.sort(np.argsort(-values[-1].std(axis=(0, 2, 3)), kind="stable")[: max(1, count)])
    flat = values.reshape(frames * images, *values.shape[2:])
    chosen = Maps.of(flat, strongest.tolist(), Form(len(strongest), reduction)).values
    scaled, largest = as_bytes(chosen)
    shape = (frames, images, *scaled.shape[1:])
    return {
        "stage": stage.number, "channels": strongest.tolist(), "reduction": reduction, "largest": largest,
        "signed": bool((chosen < 0).any()), "values": arrays.add(scaled.reshape(shape)),
    }  # fmt: skip
