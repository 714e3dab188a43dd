"""Models: prediction, evaluation, saving and loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ModelError
from opsin.data import LabeledImages
from opsin.model import Evaluation, Model, Prediction, load
from tests.data.files import write_image
from tests.model.networks import LABELS, images, reference, small_model


def expected_logits(model: Model, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray:  # type: ignore[type-arg]
    """What the whole batch gives in the reference engine, in float64."""
    program = Reference(model.graph, len(pixels), np.float64)
    program.load_state(model.state)
    normal = (pixels / 255 - np.reshape(model.preprocessing.mean, (-1, 1, 1))) / model.preprocessing.std[0]
    return program.run(inputs=normal)["logits"]


@pytest.mark.parametrize("count", [1, 2, 16, 17, 64, 65, 130])
def test_logits_of_any_number_of_images(count: int) -> None:
    model = small_model()
    np.testing.assert_allclose(model.logits(images(count)), expected_logits(model, images(count)), atol=1e-4)


def test_a_mirrored_model_averages_both_images(tmp_path: Path) -> None:
    model, given = small_model(), images(17)
    model.tta = "hflip"
    plain = expected_logits(model, given)
    both = (plain + expected_logits(model, given[..., ::-1])) / 2
    assert np.abs(both - plain).max() > 0.01
    np.testing.assert_allclose(model.logits(given), both, atol=1e-4)
    model.save(tmp_path / "a.opsin")
    second = load(tmp_path / "a.opsin", engine=reference)
    assert second.tta == "hflip"
    assert second.check() == 0
    assert small_model().tta is None


def test_no_images_have_no_logits() -> None:
    assert small_model().logits(images(0)).shape == (0, 3)
    assert small_model().predict([]) == []


def test_the_native_engine_is_the_default(tmp_path: Path) -> None:
    small_model().save(tmp_path / "a.opsin")
    native = load(tmp_path / "a.opsin")
    np.testing.assert_allclose(native.logits(images(20)), expected_logits(native, images(20)), atol=1e-4)
    assert native.check() < 1e-4


def test_predictions_are_ranked_probabilities() -> None:
    model = small_model()
    logits = expected_logits(model, images(3))
    for row, prediction in zip(logits, model.predict(images(3)), strict=True):
        shares = np.exp(row) / np.exp(row).sum()
        assert prediction.label == LABELS[int(row.argmax())]
        assert [label for label, _ in prediction.ranking] == [LABELS[i] for i in np.argsort(-row)]
        np.testing.assert_allclose([share for _, share in prediction.ranking], sorted(shares)[::-1], atol=1e-5)
        assert prediction.ranking[0] == (prediction.label, prediction.probability)


def test_extreme_logits_have_finite_probabilities() -> None:
    prediction = Prediction.from_logits(np.array([-1e30, 3e38, 3e38], np.float32), LABELS)
    assert prediction.ranking == (("dog", 0.5), ("eel", 0.5), ("cat", 0.0))
    assert str(prediction) == "dog (50.0%)"


def test_files_and_arrays_give_the_same_predictions(tmp_path: Path) -> None:
    model = small_model()
    paths = [write_image(tmp_path / f"{i}.png", pixels[0]) for i, pixels in enumerate(images(3))]
    expected = model.predict(images(3))
    assert model.predict(paths) == expected
    assert model.predict([str(paths[0]), images(3)[1]]) == expected[:2]
    assert model.predict(paths[2]) == expected[2:]
    assert model.predict(images(3)[0]) == expected[:1]


def test_arrays_of_other_shapes_are_refused() -> None:
    for wrong in (images(2)[:, :, :7], images(2).astype(np.float32), images(2)[:, 0]):
        with pytest.raises(DataError, match=r"^the model takes uint8 images of 1 × 8 × 9, not "):
            small_model().logits(wrong)  # type: ignore[arg-type]


def test_evaluation_counts_right_answers() -> None:
    model = small_model()
    labels = np.arange(40, dtype=np.int32) % 2
    evaluation = model.evaluate(LabeledImages(images(40), labels, ("eel", "cat")))
    logits = expected_logits(model, images(40))
    truth = np.where(labels == 0, 2, 0)
    assert evaluation.images == 40
    assert evaluation.correct == (logits.argmax(1) == truth).sum()
    assert evaluation.confusion.sum(axis=1).tolist() == [20, 0, 20]
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert evaluation.loss == pytest.approx(-log_probabilities[np.arange(40), truth].mean(), abs=1e-5)


def test_an_evaluation_in_words() -> None:
    evaluation = Evaluation(LABELS, np.array([[8, 2, 0], [0, 10, 0], [3, 0, 7]]), 0.3)
    assert str(evaluation) == "83.33% of 30 images right (5 wrong)"
    assert evaluation.confusions() == [("eel", "cat", 3), ("cat", "dog", 2)]


def test_evaluation_refuses_unknown_classes_and_no_images() -> None:
    with pytest.raises(DataError, match="has a class 'fox' that the model does not know; it knows cat, dog, eel"):
        small_model().evaluate(LabeledImages(images(1), np.zeros(1, np.int32), ("fox",)))
    with pytest.raises(DataError, match="no images"):
        small_model().evaluate(LabeledImages(images(0), np.zeros(0, np.int32), LABELS))


def test_a_model_survives_saving_and_loading(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "a.opsin")
    second = load(tmp_path / "a.opsin", engine=reference)
    assert str(second.graph) == str(model.graph)
    assert second.state.keys() == model.state.keys()
    assert all(np.array_equal(second.state[name], model.state[name]) for name in model.state)
    assert (second.preprocessing, second.labels, second.network) == (model.preprocessing, LABELS, "small")
    assert second.layers == {
        "conv": "Conv2d",
        "norm": "BatchNorm2d",
        "act": "ReLU",
        "flat": "Flatten",
        "head": "Linear",
    }
    assert second.record == {"data": "none"}
    assert second.predict(images(5)) == model.predict(images(5))
    assert second.check() == 0
    second.save(tmp_path / "b.opsin")
    assert (tmp_path / "a.opsin").read_bytes() == (tmp_path / "b.opsin").read_bytes()


def test_new_parameters_reach_compiled_programs() -> None:
    model, other = small_model(1), small_model(2)
    assert model.predict(images(4)) != other.predict(images(4))
    model.load_state({**other.state, "optimizer.step": np.zeros(())})
    assert model.predict(images(4)) == other.predict(images(4))


def test_deviating_results_are_detected(tmp_path: Path) -> None:
    small_model().save(tmp_path / "a.opsin")
    other = small_model(2).state
    for state in (other, {name: np.full_like(array, np.nan) for name, array in other.items()}):
        model = load(tmp_path / "a.opsin", engine=reference)
        model.state = state
        with pytest.raises(ModelError, match=r"a\.opsin gives other results here than where it was saved"):
            model.check()


def test_goldens_contain_no_training_images() -> None:
    model = small_model()
    model.check()
    assert model.goldens is not None
    pixels, logits = model.goldens
    assert pixels.shape == (4, 1, 8, 9)
    assert len(np.unique(logits.round(3), axis=0)) == 4
    assert (pixels[:, :, :4, :4] == pixels[:, :, :1, :1]).all()


def test_graphs_keep_their_names_in_the_file(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "a.opsin")
    graph = load(tmp_path / "a.opsin").graph
    assert [row.path for row in nn.describe(graph).rows] == [row.path for row in nn.describe(model.graph).rows]


def test_predictions_have_the_names_of_0_1_0() -> None:
    (prediction,) = small_model().predict(images(1))
    with pytest.warns(DeprecationWarning, match="Prediction.known is now Prediction.reliable; the old name goes with"):
        assert prediction.known is prediction.reliable
    with pytest.warns(DeprecationWarning, match="Prediction.ranked is now Prediction.ranking"):
        assert prediction.ranked is prediction.ranking
