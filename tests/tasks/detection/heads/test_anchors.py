"""The head of SSD against torchvision's, by what `tools/make_detector_fixtures.py` wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.ir import BATCH, Graph, input_tensor
from opsin.tasks.detection import heads
from tests.support import Array, generator, relative_error
from tests.zoo import drawn_detections, seeding

FOUND: dict[str, Array] = dict(np.load(Path(__file__).parents[3] / "zoo/fixtures/detectors.npz"))
NAMES = sorted(drawn_detections.SIDES)


def create(name: str) -> heads.AnchorHead:
    side = drawn_detections.SIDES[name]
    return cast("heads.AnchorHead", heads.create(name, drawn_detections.CLASSES, (side, side)))


def loss_graph(head: heads.Head, outputs: int) -> Graph:
    """The loss and its gradients, of inputs "logits", "offsets" and the targets."""
    logits = input_tensor("logits", (BATCH, head.count, outputs))
    offsets = input_tensor("offsets", (BATCH, head.count, 4))
    tensors = {"class_logits": logits, "box_offsets": offsets}
    targets = head.targets(tensors)
    loss = head.loss(tensors, targets)
    by_logits, by_offsets = ops.gradients(loss, [logits, offsets])
    assert by_logits is not None and by_offsets is not None
    return Graph((logits, offsets, *targets.values()), {"loss": loss, "logits": by_logits, "offsets": by_offsets})


def targets(head: heads.Head) -> dict[str, Array]:
    images = [head.encode(boxes, classes) for boxes, classes in drawn_detections.objects()]
    return {name: np.stack([image[name] for image in images]) for name in images[0]}


def torchvision_targets(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Array]:
    """The targets with the matches of the fixtures, which differ where rounding decides."""
    matches = iter(FOUND[f"{name}/matches"])
    monkeypatch.setattr(heads.AnchorHead, "_match", lambda *_: next(matches))
    return targets(create(name))


@pytest.mark.parametrize("name", NAMES)
def test_default_boxes(name: str) -> None:
    centres, sizes = np.split(create(name).default_boxes, 2, axis=1)
    edges = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    assert np.abs(edges - FOUND[f"{name}/default_boxes"]).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(300, 320), (333, 268), (269, 511)])
def test_there_are_as_many_as_the_network_predicts(name: str, size: tuple[int, int]) -> None:
    outputs = nn.trace(zoo.find(name)(2), (3, *size)).outputs
    assert heads.create(name, 2, size).count == outputs["box_offsets"].shape[1]


@pytest.mark.parametrize("name", NAMES)
def test_matching(name: str) -> None:
    head = create(name)
    for image, (boxes, _) in enumerate(drawn_detections.objects()):
        expected, found = FOUND[f"{name}/matches"][image], head._match(boxes)
        different = np.flatnonzero(found != expected)
        assert len(different) <= 2 and set(range(len(boxes))) <= set(found)
        if len(different):
            # Both default boxes contain the same box, and rounding decides which of them learns it.
            ours, theirs = (set(matches[different]) - {-1} for matches in (found, expected))
            sizes = head.default_boxes[different, 2:]
            assert ours == theirs and np.allclose(sizes[0], sizes[1])


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head, encoded = create(name), torchvision_targets(name, monkeypatch)
    logits, offsets = drawn_detections.outputs(head.count)
    program = Reference(loss_graph(head, drawn_detections.CLASSES + 1), drawn_detections.IMAGES, np.float64)
    found = program.run(logits=logits, offsets=offsets, **encoded)
    # Default boxes are rounded to single precision in torchvision, and targets are here.
    assert float(found["loss"]) == pytest.approx(float(FOUND[f"{name}/loss"]), rel=1e-6)
    for key in ("logits", "offsets"):
        sample = seeding.sample(key, found[key], 1000)
        assert relative_error(sample, FOUND[f"{name}/{key}_gradient"]) < 1e-5
    assert not found["logits"][2].any() and not found["offsets"][2].any()


def test_loss_natively() -> None:
    head = create(NAMES[1])
    logits, offsets = drawn_detections.outputs(head.count)
    graph = loss_graph(head, drawn_detections.CLASSES + 1)
    inputs = {"logits": logits, "offsets": offsets, **targets(head)}
    exact = Reference(graph, drawn_detections.IMAGES, np.float64).run(**inputs)
    found = compile_native(graph, drawn_detections.IMAGES, threads=1).run(**inputs)
    assert all(relative_error(found[name], exact[name]) < 1e-5 for name in exact)


def test_a_batch_without_objects_has_no_loss() -> None:
    head = create(NAMES[1])
    empty = {name: np.stack([values] * 2) for name, values in head.encode(np.zeros((0, 4)), np.zeros(0, int)).items()}
    logits, offsets = (values[:2] for values in drawn_detections.outputs(head.count))
    program = Reference(loss_graph(head, drawn_detections.CLASSES + 1), 2)
    found = program.run(logits=logits, offsets=offsets, **empty)
    assert all(np.array_equal(values, np.zeros_like(values)) for values in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_decoded_boxes(name: str) -> None:
    head, side = create(name), drawn_detections.SIDES[name]
    _, offsets = drawn_detections.outputs(head.count)
    boxes = head._boxes(offsets[0], np.arange(head.count)) * side
    assert relative_error(seeding.sample("decoded", boxes), FOUND[f"{name}/decoded"]) < 1e-6


def test_decode_inverts_encode() -> None:
    head = create(NAMES[0])
    boxes, classes = drawn_detections.objects()[0]
    encoded = head.encode(boxes, classes)
    logits = 20 * np.eye(drawn_detections.CLASSES + 1)[encoded["class_targets"]]
    (found,) = head.decode({"class_logits": logits[None], "box_offsets": encoded["box_targets"][None]}, 0.5)
    assert len(found.scores) == (encoded["class_targets"] > 0).sum()
    pairs = {
        (*np.round(box, 4), label) for box, label in zip(found.boxes.tolist(), found.classes.tolist(), strict=True)
    }
    assert pairs == {(*np.round(box, 4), label) for box, label in zip(boxes.tolist(), classes.tolist(), strict=True)}


def test_ignored_boxes_are_neither_objects_nor_background() -> None:
    head = create(NAMES[0])
    boxes, classes = drawn_detections.objects()[0]
    flags = np.arange(len(boxes)) % 2 == 1
    found = head.encode(boxes, classes, flags)["class_targets"]
    plain = head.encode(boxes[~flags], classes[~flags])["class_targets"]
    assert np.array_equal(found[plain > 0], plain[plain > 0])
    assert (found[plain == 0] <= 0).all() and (found == heads.IGNORED).any()
    logits, offsets = generator("ignored").normal(size=(1, head.count, 5)), np.zeros((1, head.count, 4))
    batch = {name: values[None] for name, values in head.encode(boxes, classes, flags).items()}
    gradient = Reference(loss_graph(head, 5), 1).run(logits=logits, offsets=offsets, **batch)["logits"][0]
    assert not gradient[found == heads.IGNORED].any()
    assert gradient[found == 0].any()
