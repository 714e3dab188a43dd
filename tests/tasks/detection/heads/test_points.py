"""The head without anchors: points, which of them learn a box, the loss, and the boxes that outputs stand for."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.tasks.detection import heads
from opsin.tasks.detection.heads.point import assign
from tests.support import Array, generator, relative_error
from tests.tasks.detection.heads.test_anchors import loss_graph
from tests.zoo import drawn_detections

HEAD = heads.PointHead(drawn_detections.CLASSES, (160, 192))


def atss(boxes: Array, points: Array, counts: list[int]) -> Array:
    """The assignment of the paper's algorithm 1, box by box; -1 where no box is learned."""
    best, matches = np.zeros(len(points)), np.full(len(points), -1)
    for number, (left, top, right, bottom) in enumerate(boxes):
        candidates: list[int] = []
        for end, count in zip(np.cumsum(counts), counts, strict=True):
            part = points[end - count : end]
            away = np.hypot(part[:, 0] - (left + right) / 2, part[:, 1] - (top + bottom) / 2)
            candidates += (end - count + np.argsort(away, kind="stable")[:9]).tolist()
        overlaps = []
        for x, y, stride in points[candidates]:
            width = max(0, min(right, x + 4 * stride) - max(left, x - 4 * stride))
            height = max(0, min(bottom, y + 4 * stride) - max(top, y - 4 * stride))
            overlaps.append(width * height / ((right - left) * (bottom - top) + 64 * stride**2 - width * height))
        threshold = np.mean(overlaps) + np.std(overlaps, ddof=1)
        for point, overlap in zip(candidates, overlaps, strict=True):
            x, y, _ = points[point]
            inside = left < x < right and top < y < bottom
            if inside and overlap >= threshold and overlap > best[point]:
                best[point], matches[point] = overlap, number
    return matches


def test_points_are_the_centres_of_cells() -> None:
    counts = [rows * columns for rows, columns in HEAD.grids]
    assert HEAD.grids == [(20, 24), (10, 12), (5, 6), (3, 3)] and HEAD.count == sum(counts) == len(HEAD.points)
    assert HEAD.points[[0, 1, 24, 480, -1]].tolist() == [[4, 4, 8], [12, 4, 8], [4, 12, 8], [8, 8, 16], [160, 160, 64]]


@pytest.mark.parametrize("size", [(320, 320), (75, 130), (64, 33)])
def test_there_are_as_many_as_the_network_predicts(size: tuple[int, int]) -> None:
    outputs = nn.trace(zoo.fcos_efficientnet_lite0(2), (3, *size)).outputs
    assert heads.create("fcos_efficientnet_lite0", 2, size).count == outputs["class_logits"].shape[1]


@pytest.mark.parametrize("size", [(320, 352), (40, 1000), (352, 100)])
@pytest.mark.parametrize("case", range(5))
def test_assignment_is_that_of_the_paper(case: int, size: tuple[int, int]) -> None:
    rng = generator("atss", str(case))
    head = heads.PointHead(3, size)
    corners, sizes = rng.uniform(0, 0.65, (15, 2)) * size[::-1], rng.uniform(0.1, 0.34, (15, 2)) * size[::-1]
    boxes, counts = np.concatenate([corners, corners + sizes], axis=1), [r * c for r, c in head.grids]
    found, expected = assign(boxes, head.points, head.grids), atss(boxes, head.points, counts)
    lonely = set(range(15)) - set(expected[expected >= 0])
    same = ~np.isin(found, list(lonely))
    assert np.array_equal(found[same], expected[same]) and same.mean() > 0.9


@pytest.mark.parametrize("side", [2.0, 5.0, 9.0, 60.0, 160.0])
def test_every_box_is_learned_by_a_point(side: float) -> None:
    rng = generator("every box", str(side))
    for corner in rng.uniform(0, 1, (20, 2)) * (192 - side, 160 - side):
        box = np.concatenate([corner, corner + side]) / (192, 160, 192, 160)
        found = HEAD.encode(box[None], np.array([2]))
        assert set(found["class_targets"]) == {0, 3}
        assert (found["box_targets"] >= 0).all()


def test_small_boxes_in_large_ones_are_learned() -> None:
    boxes = np.array([[0.1, 0.1, 0.9, 0.9], [0.5, 0.5, 0.515, 0.515], [0.2, 0.2, 0.8, 0.8]])
    found = HEAD.encode(boxes, np.array([0, 1, 2]))["class_targets"]
    assert set(found) == {0, 1, 2, 3} and (found == 2).sum() == 1


def test_decode_inverts_encode() -> None:
    boxes, classes = drawn_detections.objects()[0]
    encoded = HEAD.encode(boxes, classes)
    logits = 40 * np.eye(drawn_detections.CLASSES + 1)[encoded["class_targets"]][:, 1:] - 20
    (found,) = HEAD.decode({"class_logits": logits[None], "box_offsets": encoded["box_targets"][None]}, 0.5)
    assert len(found.scores) == (encoded["class_targets"] > 0).sum()
    pairs = {
        (*np.round(box, 4), label) for box, label in zip(found.boxes.tolist(), found.classes.tolist(), strict=True)
    }
    assert pairs == {(*np.round(box, 4), label) for box, label in zip(boxes.tolist(), classes.tolist(), strict=True)}


def test_candidates_are_sorted_limited_and_cut() -> None:
    rng = generator("candidates")
    outputs = {"class_logits": rng.normal(size=(2, HEAD.count, 4)), "box_offsets": 9 * rng.random((2, HEAD.count, 4))}
    for image, found in enumerate(HEAD.decode(outputs, 0.8, 50)):
        scores = np.sort((1 / (1 + np.exp(-outputs["class_logits"][image]))).reshape(-1))[::-1]
        assert np.allclose(found.scores, scores[:50]) and scores[50] > 0.8
        assert found.boxes.min() == 0 and found.boxes.max() == 1 and found.boxes.shape == (50, 4)
    (first, second) = HEAD.decode(outputs, 0.999999)
    assert first.boxes.shape == second.boxes.shape == (0, 4) and first.classes.dtype == np.int32


def test_loss_of_perfect_outputs() -> None:
    boxes, classes = drawn_detections.objects()[1]
    encoded = {name: values[None] for name, values in HEAD.encode(boxes, classes).items()}
    logits = 80 * np.eye(drawn_detections.CLASSES + 1)[encoded["class_targets"]][..., 1:] - 40
    program = Reference(loss_graph(HEAD, drawn_detections.CLASSES), 1, np.float64)
    found = program.run(logits=logits, offsets=encoded["box_targets"] + 1e-9, **encoded)
    assert float(found["loss"]) == pytest.approx(0, abs=1e-6)
    worse = program.run(logits=-logits, offsets=encoded["box_targets"] + 1, **encoded)
    assert float(worse["loss"]) > 10


def batch(*images: dict[str, Array]) -> dict[str, Array]:
    return {name: np.stack([image[name] for image in images]) for name in images[0]}


def drawn_targets() -> dict[str, Array]:
    return batch(*(HEAD.encode(boxes, classes) for boxes, classes in drawn_detections.objects()))


def test_loss_and_gradients_natively() -> None:
    rng = generator("point loss")
    inputs = {"logits": rng.normal(size=(3, HEAD.count, 4)), "offsets": rng.uniform(0.1, 9, (3, HEAD.count, 4))}
    graph = loss_graph(HEAD, drawn_detections.CLASSES)
    exact = Reference(graph, 3, np.float64).run(**inputs, **drawn_targets())
    found = compile_native(graph, 3, threads=1).run(**inputs, **drawn_targets())
    assert all(relative_error(found[name], exact[name]) < 1e-5 for name in exact)


def test_loss_by_hand() -> None:
    """The sums of the definition, point by point."""
    rng, targets = generator("point loss"), drawn_targets()
    logits, offsets = rng.normal(size=(3, HEAD.count, 4)), rng.uniform(0.1, 9, (3, HEAD.count, 4))
    total = 0.0
    for image, point in np.argwhere(targets["class_targets"] > 0):
        a, b = offsets[image, point], targets["box_targets"][image, point]
        shared, around = ((f(a, b)[0] + f(a, b)[2]) * (f(a, b)[1] + f(a, b)[3]) for f in (np.minimum, np.maximum))
        union = (a[0] + a[2]) * (a[1] + a[3]) + (b[0] + b[2]) * (b[1] + b[3]) - shared
        quality = np.zeros(4)
        quality[targets["class_targets"][image, point] - 1] = shared / union
        total += 2 * (1 - shared / union + (around - union) / around) + focal(logits[image, point], quality)
    total += sum(focal(logits[i, p], np.zeros(4)) for i, p in np.argwhere(targets["class_targets"] == 0))
    program = Reference(loss_graph(HEAD, drawn_detections.CLASSES), 3, np.float64)
    found = float(program.run(logits=logits, offsets=offsets, **targets)["loss"])
    assert found == pytest.approx(total / (targets["class_targets"] > 0).sum(), rel=1e-9)


def focal(logits: Array, quality: Array) -> float:
    scores = 1 / (1 + np.exp(-logits))
    entropy = -quality * np.log(scores) - (1 - quality) * np.log(1 - scores)
    return float(((quality - scores) ** 2 * entropy).sum())


def test_images_without_objects_have_a_finite_loss() -> None:
    empty = HEAD.encode(np.zeros((0, 4)), np.zeros(0, int))
    assert not empty["class_targets"].any() and not empty["box_targets"].any()
    program = compile_native(loss_graph(HEAD, drawn_detections.CLASSES), 2, threads=1)
    logits, offsets = np.zeros((2, HEAD.count, 4)), np.ones((2, HEAD.count, 4))
    found = program.run(logits=logits, offsets=offsets, **batch(empty, empty))
    assert 0 < float(found["loss"]) < np.inf
    assert (found["logits"] > 0).all() and not found["offsets"].any()


def test_ignored_boxes_are_neither_objects_nor_background() -> None:
    boxes, classes = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]]), np.array([1, 2])
    targets = HEAD.encode(boxes, classes, np.array([False, True]))
    inside = (HEAD.points[:, :2] > (96, 80)).all(1) & (HEAD.points[:, :2] < (172.8, 144)).all(1)
    assert np.array_equal(targets["class_targets"] == heads.IGNORED, inside)
    program = Reference(loss_graph(HEAD, drawn_detections.CLASSES), 1)
    logits, offsets = np.zeros((1, HEAD.count, 4)), np.ones((1, HEAD.count, 4))
    gradient = program.run(logits=logits, offsets=offsets, **batch(targets))["logits"][0]
    assert not gradient[inside].any() and gradient[~inside].all()


def test_boxes_without_an_area_are_left_out() -> None:
    boxes = np.array([[0.2, 0.2, 0.2, 0.6], [0.3, 0.5, 0.7, 0.4]])
    assert not HEAD.encode(boxes, np.array([0, 1]))["class_targets"].any()


def test_errors() -> None:
    box = np.array([[0.1, 0.1, 0.4, 0.4]])
    with pytest.raises(DataError, match="1 boxes, 2 classes and 1 flags; give one for each box"):
        HEAD.encode(box, np.array([1, 2]))
    with pytest.raises(DataError, match="classes from 4 to 4; they must be 0 to 3"):
        HEAD.encode(box, np.array([4]))
    with pytest.raises(
        ShapeError, match=r"the network gives logits .*, but its head takes class_logits N × 639 × 4, box_"
    ):
        HEAD.targets(nn.trace(zoo.lenet5(), (1, 28, 28)).outputs)
    with pytest.raises(UsageError, match="resnet18 finds no objects; choose a detector"):
        heads.create("resnet18", 3, (224, 224))
