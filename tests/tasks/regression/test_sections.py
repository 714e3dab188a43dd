"""What a report says of numbers, and how they are drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image, ImageChops

from opsin.tasks.regression import Quantities, Regression
from opsin.tasks.regression.draw import deflection, is_angle
from opsin.tasks.regression.evaluation import RegressionEvaluation
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.regression.measurement import Measurement, Quantity

RNG = np.random.default_rng(2)
TRUTH = RNG.normal([0, 25], [0.3, 8], (100, 2))
TASK = Regression.of({"labels": ("steering", "speed"), "units": ("", "km/h")}, Quantities(TRUTH))


def evaluation(ordered: bool = True, intervals: Intervals | None = None) -> RegressionEvaluation:
    positions = np.append(np.arange(10, 60), np.arange(70, 120)) if ordered else None
    logits = ((TRUTH * 0.5 + np.array([0.0, 12.5]) - np.array(TASK.means)) / TASK.scales).astype(np.float32)
    return TASK.evaluate([TASK.reduce({"logits": logits}, Quantities(TRUTH, positions))], intervals)


def test_errors_stand_beside_baselines() -> None:
    section = evaluation(intervals=Intervals((0.3, 8.0), 50)).sections()[0]
    assert section.heading == "Errors" and section.table is not None
    assert section.table.columns == (
        "quantity", "mean error", "RMSE", "R²", "in the interval", "R² of the mean",
        "R² of the frame before",
    )  # fmt: skip
    name, _, _, score, covered, mean, last = section.table.rows[1]
    assert name == "speed (km/h)" and score == f"{evaluation().quantities[1].r2:.3f}" and float(score) > 0.7
    assert covered.endswith("%") and float(mean) == 0
    pairs = np.flatnonzero(np.arange(99) != 49)
    before, after = TRUTH[pairs, 1], TRUTH[pairs + 1, 1]
    assert float(last) == pytest.approx(
        1 - ((before - after) ** 2).sum() / ((after - after.mean()) ** 2).sum(), abs=1e-3
    )
    assert len(section.paragraphs) == 3


def test_images_without_order_have_no_frame_before() -> None:
    found = evaluation(False)
    table = found.sections()[0].table
    assert table is not None and table.columns[-1] == "R² of the mean"
    assert list(found.to_data()["baselines"]) == ["mean"]


def test_scatter_of_truth_and_answer() -> None:
    plain = evaluation().sections()[1]
    assert len(plain.figures) == 2
    root = ET.fromstring(plain.figures[0])
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == 100 and "R²" in (root.get("aria-label") or "")
    lines = {text.text for text in root.iter() if text.tag.endswith("text")}
    assert {"true steering", "answer"} <= lines
    marked = evaluation(intervals=Intervals((0.3, 8.0), 50)).sections()[1].figures[0]
    assert marked.count('class="mark"') == 2 and 'class="mark"' not in plain.figures[0]


def test_ranges_of_numbers() -> None:
    section = evaluation(intervals=Intervals((0.3, 8.0), 50)).sections()[2]
    assert section.heading == "Errors by steering" and section.table is not None
    assert [row[1] for row in section.table.rows] == ["20"] * 5
    differences = [float(row[3]) for row in section.table.rows]
    assert differences[0] > 0 > differences[-1]


def test_a_number_that_most_images_have_is_a_range_of_its_own() -> None:
    truth = np.append(np.zeros(72), np.linspace(0.01, 1, 28))[:, None]
    task = Regression.of({"labels": ("angle",)}, Quantities(truth))
    found = task.evaluate([task.reduce({"logits": np.zeros((100, 1), np.float32)}, Quantities(truth))], None)
    table = found.sections()[2].table
    assert table is not None and table.rows[0][:2] == ("0 to 0", "72")
    assert sum(int(row[1]) for row in table.rows) == 100


def test_the_worst_images() -> None:
    found = evaluation()
    errors = np.abs((found.predictions - found.truth) / TASK.scales).max(axis=1)
    assert found.worst(5) == np.argsort(-errors)[:5].tolist()
    section = found.sections()[-1]
    assert [example.image for example in section.examples] == found.worst(12)
    assert section.examples[0].caption.startswith("steering ") and ", answered " in section.examples[0].caption


def test_needles() -> None:
    assert is_angle("steering") and is_angle("SteeringAngle") and not is_angle("price") and not is_angle("triangle")
    assert deflection(Quantity("angle", 0.5), 0.5, 1.0) == pytest.approx(np.pi / 4)
    assert deflection(Quantity("angle", 30, "deg"), 30, 99.0) == pytest.approx(np.pi / 6)
    assert deflection(Quantity("angle", 0.2, "rad"), 0.2, 99.0) == 0.2
    assert deflection(Quantity("angle", -9), -9, 1.0) == pytest.approx(-np.pi / 2)


@pytest.mark.parametrize("size", [(20, 10), (160, 80), (600, 800)])
def test_drawing(size: tuple[int, int]) -> None:
    image = Image.new("L", size, 90)
    left, right = (
        TASK.draw(image, Measurement((Quantity("steering", value, "", value - 0.1, value + 0.1),)))
        for value in (-0.5, 0.5)
    )  # fmt: skip
    assert left.mode == "RGB" and image.size == size and image.getextrema() == (90, 90)
    assert left.width % size[0] == 0 and left.height % size[1] == 0 and max(left.size) >= 480
    orange = [
        np.argwhere(np.asarray(each)[:, :, 0].astype(int) - np.asarray(each)[:, :, 2] > 150) for each in (left, right)
    ]
    assert orange[0][:, 1].mean() < left.width / 2 < orange[1][:, 1].mean()
    caption = TASK.draw(image, Measurement((Quantity("speed", 20, "km/h"),)))
    changed = ImageChops.difference(caption, image.convert("RGB").resize(caption.size)).getbbox()
    assert changed is not None and changed[1] > caption.height / 2


def test_long_captions_are_cut() -> None:
    image = Image.new("RGB", (64, 64))
    drawn = TASK.draw(image, Measurement((Quantity("a very long name of a quantity " * 9, 1.0),)))
    assert drawn.getbbox() is not None
