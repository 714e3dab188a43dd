"""The task: its reader, splits and batches by identity, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.data.grouped_order import grouped_order
from opsin.tasks.identity import Identities, Identity
from opsin.tasks.identity.answers import Comparison, Embedding
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.identity.reader import identity_of
from opsin.tasks.task import LossOptions
from tests.support import generator
from tests.tasks.memory_files import MemoryFiles, image_size, images


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Ann/1.jpg", ("Ann", "")),
        ("Val/1.jpg", ("Val", "")),
        ("train/Ann/1.jpg", ("Ann", "train")),
        ("test/dogs/Rex/1.jpg", ("dogs/Rex", "test")),
        ("faces/Val_Kilmer/1.jpg", ("faces/Val_Kilmer", "")),
        ("1.jpg", ("", "")),
    ],
)
def test_identities_are_folders(path: str, expected: tuple[str, str]) -> None:
    assert identity_of(path) == expected


def test_reading() -> None:
    files = MemoryFiles(images("Ann/1.jpg", "Ann/2.jpg", "Bo/1.jpg", "Bo/broken.jpg", "alone.jpg"))
    result = Identity.read(files, image_size)
    assert result is not None
    assert [(image.path, image.target) for image in result.images] == [
        ("Ann/1.jpg", "Ann"), ("Ann/2.jpg", "Ann"), ("Bo/1.jpg", "Bo")
    ]  # fmt: skip
    assert sorted(problem.name for problem in result.problems) == ["Bo/broken.jpg", "alone.jpg"]
    assert result.notes == ["2 identities, 1 of them with two images or more."]
    assert Identity.read(MemoryFiles(images("1.jpg")), image_size) is None


def test_an_identity_in_two_splits_is_noted() -> None:
    result = Identity.read(MemoryFiles(images("train/Ann/1.jpg", "test/Ann/2.jpg")), image_size)
    assert result is not None and "Identities in more than one split: 1, such as Ann;" in result.notes[1]


def test_one_image_of_each_is_refused() -> None:
    with pytest.raises(DataError, match=r"memory holds one image of each of 2 identities; .* at least two images each"):
        Identity.read(MemoryFiles(images("Ann/1.jpg", "Bo/1.jpg")), image_size)
    with pytest.raises(DataError, match="no column of a table holds them"):
        Identity.read(MemoryFiles(images("Ann/1.jpg")), image_size, ["person"])


def test_runs_of_a_group_keep_each_image_once() -> None:
    groups = np.repeat(np.arange(30, dtype=np.int32), np.arange(30) % 7 + 1)
    order = generator("groups").permutation(len(groups))
    result = grouped_order(order, groups, 4)
    assert sorted(result.tolist()) == list(range(len(groups)))
    ends = np.flatnonzero(np.diff(groups[result])) + 1
    sizes = [len(run) for run in np.split(result, ends)]
    assert max(sizes) <= 7  # two runs of a group may meet by chance
    assert len(sizes) <= sum(-(-count // 4) for count in np.bincount(groups))
    assert (grouped_order(order, groups, 4) == result).all()
    assert (grouped_order(order[::-1].copy(), groups, 4) != result).any()
    assert (grouped_order(order, np.arange(len(groups), dtype=np.int32)) == order).all()


@pytest.mark.parametrize("network", ["lenet5", "resnet20_cifar", "sphereface10_half"])
def test_classifiers_give_unit_vectors(network: str) -> None:
    task = Identity(24)
    graph = nn.trace(zoo.find(network)(task.outputs, task="identity"), (1, 32, 32))
    task.check(graph)
    assert list(graph.outputs) == ["embeddings"]


def test_other_networks_are_refused() -> None:
    with pytest.raises(ShapeError, match="output of a classifier"):
        nn.trace(zoo.find("unet")(4, task="identity"), (3, 32, 32))
    with pytest.raises(ShapeError, match=r"needs? the output 'embeddings'"):
        Identity(24).check(nn.trace(zoo.find("lenet5")(24), (1, 28, 28)))


def test_options_of_classes_are_refused() -> None:
    task = Identity(members=(0, 1))
    with pytest.raises(UsageError, match="for classes"):
        task.objective(LossOptions(label_smoothing=0.1), False)
    with pytest.raises(UsageError, match="there is no loss 'softmax' for identity; there are cosface"):
        task.objective(LossOptions(loss="softmax"), False)
    with pytest.raises(DataError, match="the training images show 1 identity; give images of at least four"):
        Identity(members=(0,)).objective(LossOptions(), False)


def test_labels_count_the_identities_that_are_trained_on() -> None:
    targets = Identities(np.array([5, 2, 5, 9], np.int32), tuple("abcdefghij"))
    task = Identity.of({}, targets)
    encoded = task.encode(targets.take(np.array([3, 0, 1])), None, None)  # type: ignore[arg-type]
    assert encoded["labels"].tolist() == [2, 1, 0]
    assert encoded["instances"].tolist() == [0, 1, 2]
    assert targets.strata().tolist() == [1, 0, 1, 0]
    assert task.to_data() == {"dimensions": 128}


def test_images_without_pairs_cannot_be_measured() -> None:
    targets = Identities(np.array([0, 1, 2], np.int32), ("a", "b", "c"))
    result = (np.eye(3, dtype=np.float32), targets)
    with pytest.raises(DataError, match="show 3 identities, so that no two are of the same one"):
        Identity().evaluate([result], None)
    same = (np.eye(3, dtype=np.float32), Identities(np.zeros(3, np.int32), ("a",)))
    with pytest.raises(DataError, match="so that no two are of different ones"):
        Identity().evaluate([same], None)
    assert Identity().calibrate([result]) is None


def test_worst_pairs_and_sections() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0.99, 0.14], [0.8, 0.6]], np.float32)
    targets = Identities(np.array([0, 0, 1, 1], np.int32), ("a", "b"))
    evaluation = Identity().evaluate([(vectors, targets)], SameThreshold(0.9, 10.0, -9.0, 5, 5, 0.0, 0.0))
    different, same = evaluation.mistakes(1)
    assert (evaluation.pairs.first[different[0]], evaluation.pairs.second[different[0]]) == (0, 2)
    assert (evaluation.pairs.first[same[0]], evaluation.pairs.second[same[0]]) == (0, 1)
    assert evaluation.worst(3) == [0, 2, 1]
    headings = [section.heading for section in evaluation.sections()]
    assert headings == ["Verification", "Identification", "Different, but most alike", "The same, but least alike"]
    assert "too few identities for folds" in evaluation.sections()[0].paragraphs[0]
    assert evaluation.sections()[0].figures[0].startswith("<svg")
    assert evaluation.score.main == "verification_accuracy"


def test_comparison() -> None:
    one, other = Embedding(np.array([1, 0], np.float32)), Embedding(np.array([0.8, 0.6], np.float32))
    threshold = SameThreshold(0.5, 10.0, -5.0, 5, 5, 0.0, 0.0)
    result = Comparison.of(one, other, threshold)
    assert result.same and result.similarity == pytest.approx(0.8)
    assert str(result).startswith("the same (similarity 0.800, probability of the same 95.3%")
    assert str(Comparison.of(one, other, None)) == "similarity 0.800; the model has no threshold"
