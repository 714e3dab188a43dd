"""Reports on annotated tasks: figures, drawn examples, sentences, page and text."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin import report
from opsin.base.errors import DataError
from opsin.data import Dataset
from opsin.report import TaskReport
from opsin.report.drawing import as_image, draw_truth, drawing_size
from opsin.report.history import EpochRecord, Fit, diagnose
from opsin.report.metric_robustness import measure_metric_robustness
from opsin.report.more_images import HOW_TO, NOTHING_LEARNED
from opsin.report.task_report import DRAWING_SIDE, TYPICAL_IMAGES
from opsin.report.task_sentences import evidence, headline, learning_curve, next_steps, robustness, training
from opsin.report.task_tables import is_number_column
from opsin.tasks.section import Example, Section, Table
from opsin.training import Trainer
from opsin.training.learning_curve import CurvePoint, DataCurve
from tests.report.annotated import CLASSES, HEIGHT, WIDTH, measured, scenes, subject
from tests.report.html_checker import checked_page
from tests.tasks.detection import rectangles


def drawing(report: TaskReport, key: str) -> Image.Image:
    """Return a drawing of a report."""
    return Image.open(BytesIO(base64.b64decode(report.thumbnails[key].partition(",")[2])))


def test_figures_are_those_of_the_evaluation() -> None:
    (model, data), report = subject(), measured()
    assert data.test is not None
    evaluation = model.evaluate(data.test)
    assert report.score == evaluation.score
    assert [section.heading for section in report.sections] == [part.heading for part in evaluation.sections()]
    assert 0.4 < report.score.value < 0.99, "some answers should be wrong"
    assert (report.score.images, report.training_images, report.split) == (40, 60, "test")
    assert report.label_counts == ((CLASSES[0], 60), (CLASSES[1], 60), (CLASSES[2], 15))
    assert not report.is_constant


def test_truth_and_answer_are_drawn_on_each_example() -> None:
    (model, data), report = subject(), measured()
    assert data.test is not None
    shown = {example.image for section in report.sections for example in section.examples} | set(report.typical)
    assert set(report.drawn) == shown and len(report.typical) == TYPICAL_IMAGES
    number = next(iter(report.drawn))
    drawn = report.drawn[number]
    assert drawn.name == f"<i>{number}</i>.png"
    outputs = model.outputs(data.test.pixels[number : number + 1])
    assert drawn.answer_text == str(model.task.answers(outputs, [(360, 480)], model.calibration, None)[0])
    truth, answer = drawing(report, drawn.truth), drawing(report, drawn.answer)
    assert max(truth.size) == DRAWING_SIDE
    assert truth.tobytes() != answer.tobytes()


def test_small_images_are_enlarged_for_drawing() -> None:
    assert drawing_size((3, 12, 16)) == (360, 480)
    assert drawing_size((3, 600, 300)) == (600, 300)
    image = as_image(scenes(1, 0).pixels[0], (2 * HEIGHT, 2 * WIDTH))
    np.testing.assert_array_equal(np.asarray(image)[::2, ::2], scenes(1, 0).pixels[0].transpose(1, 2, 0))


def test_boxes_are_drawn_where_they_are_in_the_networks_images() -> None:
    """The originals had another size and shape than the pixels."""
    images = rectangles.images(4)
    number = int(np.argmax(np.diff(images.targets.starts)))
    one = images.take(np.array([number]))
    size = drawing_size(images.shape)
    pixels = np.zeros((3, rectangles.SIDE, rectangles.SIDE), np.uint8)
    drawn = np.asarray(draw_truth(images.task, pixels, one.targets, size)).astype(int)
    bright = drawn.max(axis=2) > 100
    left, top, right, bottom = (one.targets.coordinates[0] * np.array([size[1], size[0]] * 2)).round().astype(int)
    middle = (left + right) // 2, (top + bottom) // 2
    assert bright[middle[1], left - 3 : left + 6].any() and bright[middle[1], right - 6 : right + 3].any()
    assert bright[bottom - 6 : bottom + 3, middle[0]].any()
    assert not bright[middle[1], left + 10 : right - 10].any()


def test_a_detector_has_the_same_kind_of_report(tmp_path: Path) -> None:
    trainer = Trainer(rectangles.plan(1), rectangles.dataset(16, 8))
    assert list(trainer)
    written = report.write(tmp_path, trainer.model, trainer.data, seconds=0)
    assert isinstance(written, TaskReport)
    assert headline(written).startswith("AP ") and headline(written).endswith(" on images it has never seen.")
    assert written.history[0].metric == "ap"
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert data["metrics"] == dict(written.score.metrics) and data["history"][0].keys() >= {"loss", "held_out_ap"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page == report.page(written)
    checked_page(page)


def test_other_data_is_measured_as_a_whole() -> None:
    model, _ = subject()
    other = Dataset("others", scenes(20, 7), scenes(10, 8), predefined_split=False)
    written = report.measure_model(model, other, seconds=0)
    assert isinstance(written, TaskReport)
    assert (written.score.images, written.trained_here, written.label_counts, written.history) == (30, False, (), ())
    assert headline(written).endswith(" on the images of others.")
    with pytest.raises(DataError, match="the data is for detection, but <model> does segmentation"):
        report.measure_model(model, Dataset("boxes", rectangles.images(2), rectangles.images(2), True))


def test_robustness_is_measured_by_the_main_metric() -> None:
    (model, data), measured_robustness = subject(), measured().robustness
    assert measured_robustness is not None and data.test is not None
    assert measured_robustness.clean == measured().score.value
    kinds = dict(measured_robustness.kinds)
    assert list(kinds) == ["blurred", "noisy", "darker", "brighter", "compressed"], "rotated images need other targets"
    assert kinds["darker"][-1][1] < kinds["darker"][0][1] < measured_robustness.clean
    assert robustness(measured()).startswith("Measured on all 40 images; without corruption: mean IoU ")
    assert "darker (× 0.3)" in robustness(measured())
    assert measure_metric_robustness(model, data.test.take(np.arange(10)), 9) is None


def test_a_report_is_plain_data() -> None:
    data = json.loads(json.dumps(measured().to_data()))
    assert data["task"] == "segmentation" and data["measured_on"] == "test"
    assert data["metrics"]["mean_iou"] == measured().score.value
    assert data["history"][0] == {
        "stage": "training", "loss": 1.0, "held_out_mean_iou": 0.3, "held_out_loss": 1.0
    }  # fmt: skip
    assert data["label_counts"] == dict(measured().label_counts)
    assert data["sections"][0]["table"]["columns"][0] == "class"
    assert {example["image"] for part in data["sections"] for example in part["examples"]} <= {
        each.name for each in measured().drawn.values()
    }
    assert "base64" not in json.dumps(data)


def test_sentences_state_the_figures() -> None:
    written = measured()
    assert headline(written) == f"M{written.score.text()[1:]} on images it has never seen."
    assert evidence(written).startswith("Measured on 40 images; mean Dice ")
    assert evidence(written).endswith("This is a rough estimate, because there are few images to measure on.")
    steps = list(next_steps(written))
    assert steps == [
        "Correct the annotation that could not be used, which the report lists.",
        'Add images of what few of the 60 training images show: green" onload="x (15).',
        "Set aside more images for testing: 40 leave a wide margin of error.",
        "Try it on your own images: opsin predict <model> IMAGE",
    ]
    useless = replace(written, is_constant=True, split="validation", receipt=None, label_counts=())
    assert next(next_steps(useless)).startswith("Do not use it yet: ")
    assert "; on new images, expect less." in evidence(useless)
    assert evidence(useless).endswith("Giving the same answer for every image would score as well.")


def with_curve(*values: float) -> TaskReport:
    points = [CurvePoint(images, value) for images, value in zip((15, 30, 60), values, strict=True)]
    return replace(measured(), curve=DataCurve("mean_iou", 40, tuple(points)))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            (0.4, 0.58, 0.7),
            "With twice as many images of the same kind it would probably be about 78.8%, between 75.3% and 81.8%.",
        ),
        (
            (0.70, 0.73, 0.71),
            "What twice as many images would bring cannot be said: the differences are within what chance explains, in "
            "training and with 40 images to measure on. It would hardly be more than 76.1%.",
        ),
        (
            (0.8, 0.7, 0.6),
            "It does not rise with the number of images, so that it cannot be said what more of them would bring: "
            "training has not learned what these images show, or there are too few images to measure on.",
        ),
        ((0.97, 0.97, 0.97), "More images of the same kind would hardly help."),
        (
            (0.921, 0.923, 0.921),
            "More images of the same kind would hardly help: with twice as many it would probably not be above 93.2%.",
        ),
    ],
)
def test_a_learning_curve_says_what_more_images_would_bring(values: tuple[float, ...], text: str) -> None:
    written = with_curve(*values)
    quarter, half, whole = (f"{100 * value:.1f}%" for value in values)
    assert learning_curve(written) == (
        f"Trained on parts of the training images, the mean IoU is {quarter} on a quarter (15), {half} on half (30) "
        f"and {whole} on all (60). {text}"
    )
    advice = "Collect and annotate more images: the learning curve is still rising."
    assert (advice in next_steps(written)) == ("between" in text)
    checker = checked_page(report.page(written))
    assert text in "".join(checker.words)
    assert any("twice as many ends at" in attrs.get("aria-label", "") for _, attrs in checker.tags)
    assert written.to_data()["learning_curve"]["points"][2]["value"] == values[2]


def test_a_model_that_has_learned_nothing_says_nothing_of_more_images() -> None:
    written = replace(with_curve(0.4, 0.58, 0.7), is_constant=True)
    assert learning_curve(written).endswith(NOTHING_LEARNED)
    assert not any("Collect" in step for step in next_steps(written))
    assert NOTHING_LEARNED in "".join(checked_page(report.page(written)).words)


def test_without_a_learning_curve_the_report_says_how_to_measure_one() -> None:
    assert learning_curve(measured()) == HOW_TO
    assert "opsin train --learning-curve" in " ".join(report.text(measured()))
    assert learning_curve(replace(measured(), trained_here=False)) == ""


FALLING = [1.0 - 0.08 * number for number in range(10)]


@pytest.mark.parametrize(
    ("values", "images", "fit", "text"),
    [
        (
            [0.2, 0.4, 0.6, 0.7, 0.7, 0.6, 0.55, 0.5, 0.5, 0.5], 400, Fit.OVERFITTING,
            "It overfits: the mean IoU on held-out images was best after epoch 4 of 10, 70.0%, and fell to 50.0% at "
            "the end, while the loss in training kept falling. Fewer epochs, stronger augmentation or more images "
            "would help.",
        ),
        (
            [0.2, 0.4, 0.6, 0.7, 0.7, 0.7, 0.65, 0.65, 0.65, 0.65], 9, Fit.GOOD,
            "There is no clear sign of overfitting: the mean IoU on held-out images ended at 65.0%; its best was "
            "70.0%, after epoch 4 of 10.",
        ),
        (
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.64, 0.67, 0.7], 400, Fit.STILL_IMPROVING,
            "It was still improving when training ended: in the last 2 epochs the mean IoU on held-out images rose "
            "from 64.0% to 70.0%. More epochs would help.",
        ),
    ],
)  # fmt: skip
def test_curves_of_the_main_metric_are_diagnosed(values: list[float], images: int, fit: Fit, text: str) -> None:
    epochs = [EpochRecord("training", a, None, b, 1.0, "mean_iou") for a, b in zip(FALLING, values, strict=True)]
    diagnosis = diagnose(epochs, images)
    assert diagnosis is not None and diagnosis.fit is fit
    assert training(replace(measured(), diagnosis=diagnosis)) == text


def test_few_unsteady_epochs_show_no_overfitting() -> None:
    epochs = [EpochRecord("training", 1.0 - n / 9, None, value, None, "ap") for n, value in enumerate((0.4, 0.2, 0.1))]
    diagnosis = diagnose(epochs)
    assert diagnosis is not None and diagnosis.fit is Fit.GOOD


def test_a_single_lucky_epoch_shows_no_overfitting() -> None:
    values = [0.5, 0.5, 0.56, *[0.53] * 7]
    epochs = [EpochRecord("training", a, None, b, None, "ap") for a, b in zip(FALLING, values, strict=True)]
    diagnosis = diagnose(epochs)
    assert diagnosis is not None and diagnosis.fit is Fit.GOOD


def test_every_section_is_on_the_page() -> None:
    checker = checked_page(report.page(measured()))
    sections = [attrs["id"] for tag, attrs in checker.tags if tag == "section"]
    expected = [section.heading for section in measured().sections]
    assert [key.partition("-")[0] for key in sections[: len(expected)]] == [str(n + 1) for n in range(len(expected))]
    assert sections[len(expected) :] == [
        "typical", "training", "learning-curve", "robustness", "data", "speed", "configuration"
    ]  # fmt: skip
    assert [attrs["href"] for tag, attrs in checker.tags if tag == "a"] == [f"#{key}" for key in sections]
    words = "".join(checker.words)
    assert all(heading in words for heading in expected)
    assert all(example.caption in words for section in measured().sections for example in section.examples)
    pairs = [attrs for tag, attrs in checker.tags if tag == "div" and attrs.get("class") == "pair"]
    shown = sum(len(section.examples) for section in measured().sections) + TYPICAL_IMAGES
    assert len(pairs) == shown


def test_names_of_others_are_escaped() -> None:
    text = report.page(measured())
    words = "".join(checked_page(text).words)
    names = (*CLASSES, "<model>", "<scenes>", "<masks>", "<u>3.png", measured().drawn[measured().typical[0]].name)
    assert all(name in words for name in names)
    assert not any(name in text for name in names if "<" in name)
    assert 'onload="x' not in text


def test_sections_of_any_form_are_shown() -> None:
    table = Table(("<what>", "number"), (("a & b", "1,234"), ("c", "–")))
    parts = (
        Section("<h>", ("one <p>", "two"), table, ("<svg></svg>",)),
        Section("Nothing to see"),
        Section("Far", examples=(Example(99, "not drawn"),)),
    )
    text = report.page(replace(measured(), sections=parts))
    checked_page(text)
    assert "<h2>&lt;h&gt;</h2>\n<p>one &lt;p&gt;</p><p>two</p>" in text
    assert '<td class="name">a &amp; b</td><td class="number">1,234</td>' in text
    assert "<figure><svg></svg></figure>" in text
    assert "Nothing to see" not in text and "not drawn" not in text


def test_what_was_not_measured_is_not_mentioned() -> None:
    bare = replace(measured(), robustness=None, history=(), diagnosis=None, receipt=None, sections=())
    sections = [attrs["id"] for tag, attrs in checked_page(report.page(bare)).tags if tag == "section"]
    assert sections == ["typical", "learning-curve", "speed", "configuration"]
    assert (training(bare), robustness(bare)) == ("", "")
    assert "What to do next:" in report.text(bare)


@pytest.mark.parametrize(
    ("cells", "is_number"),
    [
        (["1", "–"], True),
        (["98.7%", "<0.1%", "-0.25"], True),
        (["1,234", "dog"], False),
        (["–", ""], False),
        ([], False),
    ],
)
def test_columns_of_numbers_are_found(cells: list[str], is_number: bool) -> None:
    table = Table(("x",), tuple((cell,) for cell in cells))
    assert is_number_column(table, 0) is is_number


def test_the_text_fits_a_terminal() -> None:
    lines = report.text(measured())
    assert len(lines) < 40
    assert max(map(len, lines)) <= 96
    assert lines[0] == headline(measured())
    assert any(line.startswith("<b>red</b> ") for line in lines)
    assert "    <i>" in "\n".join(lines)
    assert lines[-1] == "4. Try it on your own images: opsin predict <model> IMAGE"


def test_columns_without_room_and_rows_without_end_are_left_out() -> None:
    rows = tuple((f"class {number}", *["12345678"] * 12) for number in range(40))
    section = Section("Classes", table=Table(tuple(f"column {number}" for number in range(13)), rows))
    lines = report.text(replace(measured(), sections=(section,)))
    assert max(map(len, lines)) <= 96
    assert "… and 28 more" in lines
    assert not any("column 12" in line for line in lines)
