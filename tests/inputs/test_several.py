"""Several inputs together: tables of images, texts and numbers, and networks with a tower for each column."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.base.errors import DataError, UsageError
from opsin.data import load
from opsin.data.pixels import ImageView
from opsin.data.several import Several
from tests.inputs.questions import questions, write_csv, write_images, write_json
from tests.inputs.recordings import write_recordings


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("questions")
    return write_json(folder / "rows.json", questions(folder, 120))


@pytest.fixture(scope="module")
def trained(table: Path) -> Any:
    """A model of images and questions, and its file."""
    path = table.parent / "m.opsin"
    return opsin.autotrain(table, inputs=["image", "question"], target="answer", epochs=8, threads=1, out=path), path


def test_columns_have_kinds(table: Path) -> None:
    data = load(table, inputs=("image", "question"), target="answer")
    assert (data.train.kind, data.classes, data.train.pixels.dtype) == ("several", ("no", "yes"), np.uint8)
    assert [(column.name, column.kind.kind, column.optional) for column in data.input.columns] == [
        ("image", "image", False), ("question", "text", False)
    ]  # fmt: skip
    assert data.shape == (1, 1, 1 + 16 * 16 * 3 + 1 + 4 * 8)
    assert sum(map(len, data.splits.values())) == 240
    assert "'image' (image), 'question' (text); answers are in 'answer'" in data.receipt.text()


def test_a_table_of_images_and_questions_needs_no_options(table: Path, tmp_path: Path) -> None:
    rows = json.loads(table.read_text())
    (tmp_path / "images").symlink_to(table.parent / "images")
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    expected = load(table).fingerprint
    assert load(write_csv(tmp_path / "rows.csv", rows)).fingerprint == expected
    assert load(lines).fingerprint == expected
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.write(table, "rows.json")
        for path in sorted((table.parent / "images").iterdir()):
            archive.write(path, f"images/{path.name}")
    assert load(tmp_path / "rows.zip").fingerprint == expected


def test_tables_named_after_splits(tmp_path: Path) -> None:
    write_json(tmp_path / "train.json", questions(tmp_path, 30))
    write_json(tmp_path / "test.json", questions(tmp_path, 10, seed=1))
    data = load(tmp_path)
    assert (data.predefined_split, len(data.require_test())) == (True, 20)


def test_rows_of_one_image_stay_in_one_split(table: Path) -> None:
    data = load(table)
    rows = json.loads(table.read_text())
    images = [
        {rows[int(name.rpartition(" ")[2]) - 1]["image"] for name in part.names or ()} for part in data.splits.values()
    ]
    assert len(images) == 3
    assert not (images[0] & images[1]) and not (images[0] & images[2]) and not (images[1] & images[2])


def test_images_are_decoded_once_and_rows_are_views(table: Path) -> None:
    pixels = load(table).train.pixels
    assert isinstance(pixels, ImageView)
    assert (pixels[3:5] == pixels[np.array([3, 4])]).all()
    assert pixels.take(np.array([7]))[:].tolist() == pixels[7:8].tolist()


def test_many_rows_are_read_on_each_access(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(table)
    monkeypatch.setattr("opsin.data.ingest.rows.MAX_SAMPLE_BYTES", 0)
    other = load(table)
    assert other.train.pixels.cells[0].samples is None
    assert (other.train.pixels[:] == expected.train.pixels[:]).all()


def test_the_description_is_complete(table: Path) -> None:
    kind = load(table).input
    assert Several.from_data(json.loads(json.dumps(kind.to_data()))) == kind
    columns = kind.to_data()["columns"]
    for change in ([], [columns[0], columns[0]], [columns[0] | {"kind": {"kind": "smell"}}], [{}], "image"):
        with pytest.raises(DataError, match=r"sense|completely|no columns of the kind"):
            Several.from_data({"kind": "several", "columns": change})


def test_empty_cells_are_zeros_and_a_flag(tmp_path: Path) -> None:
    rows = [
        row | {"question": row["question"] if number % 4 else ""} for number, row in enumerate(questions(tmp_path, 40))
    ]
    kind = load(write_csv(tmp_path / "rows.csv", rows), inputs=["image", "question"]).input
    assert [column.optional for column in kind.columns] == [False, True]
    sample = kind.row({"image": np.full((16, 16, 3), 200, np.uint8)}, "x")
    numbers = kind.apply(sample[None]).reshape(-1)
    begin = kind.columns[0].bytes
    assert (numbers[0], numbers[begin]) == (1, 0)
    assert numbers[1:begin].any() and not numbers[begin:].any()
    assert [None if cell is None else cell.shape for _, cell in kind.cells(sample)] == [(3, 16, 16), None]
    with pytest.raises(DataError, match="x: 'image' is empty, and the model was trained with a value in every row"):
        kind.row({"question": "is it red?"}, "x")


def test_both_inputs_are_needed(trained: Any, table: Path) -> None:
    model, _ = trained
    assert model.evaluate(load(table, model.preprocessing).require_test()).score.metrics["accuracy"] >= 0.95
    alone = opsin.autotrain(table, inputs="image", target="answer", epochs=4, threads=1)
    assert (
        alone.evaluate(load(table, alone.preprocessing, target="answer").require_test()).score.metrics["accuracy"]
        <= 0.7
    )


@pytest.mark.parametrize("network", ["towers_concat", "towers_product"])
def test_other_joins(table: Path, network: str) -> None:
    model = opsin.autotrain(table, network=network, epochs=10, threads=1)
    assert model.evaluate(load(table, model.preprocessing).require_test()).score.metrics["accuracy"] >= 0.9


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_the_number_of_threads_does_not_matter(table: Path, threads: int) -> None:
    one, other = (opsin.autotrain(table, epochs=2, threads=count) for count in (1, threads))
    assert all((other.state[name] == array).all() for name, array in one.state.items())


def test_the_file_reads_values_in_all_forms(trained: Any, table: Path) -> None:
    model, path = trained
    again = opsin.load(path)
    assert again.preprocessing == model.preprocessing
    assert again.check() == 0
    image, question = table.parent / "images" / "0-0.png", "is this image red?"
    with Image.open(image) as opened:
        pixels = np.asarray(opened)
        forms = [str(image), image, image.read_bytes(), opened, pixels]
        answers = again.predict([{"image": form, "question": question} for form in forms])
    (alone,) = again.predict({"image": image, "question": question})
    assert {answer.ranking for answer in answers} == {alone.ranking}
    assert alone.ranking[0][0] == "yes"
    row = json.dumps({"image": str(image), "question": question}).encode()
    assert again.predict(row)[0].ranking == alone.ranking


def test_values_that_are_none(trained: Any, tmp_path: Path) -> None:
    model, image = trained[0], np.zeros((16, 16, 3), np.uint8)
    for values, text in [
        ({"image": image}, "'question' is empty"),
        ({"image": image, "question": " "}, "'question' is empty"),
        ({"image": image, "question": 3}, "3 is no text; give a text"),
        ({"image": 3, "question": "is it red?"}, "3 is no image; give a path"),
        ({"image": tmp_path / "no.png", "question": "is it red?"}, r"image: there is no file .*no\.png"),
        ({"image": b"nothing", "question": "is it red?"}, "image"),
        ({"image": image, "sound": "a.wav"}, "the model has no input 'sound', only image, question"),
    ]:
        with pytest.raises(DataError, match=text):
            model.predict(values)
    with pytest.raises(DataError, match="no JSON object"):
        model.predict(b"[")


def test_what_is_for_images(trained: Any, table: Path) -> None:
    model, _ = trained
    with pytest.raises(UsageError, match="model of rows; opsin ship is for models of images"):
        opsin.ship(model, "web")
    with pytest.raises(UsageError, match="rows of several inputs have no input options"):
        opsin.autotrain(table, input_options={"rate": 8000}, epochs=1)
    with pytest.raises(DataError, match="holds rows of several inputs, the model takes images"):
        load(table, opsin.data.Preprocessing(1, 28, 28, (0.5,), (0.5,)), inputs="image", target="answer")


def test_columns_that_are_not_there(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.json has no column 'photo', only 'image', 'question', 'answer'"):
        load(table, inputs="photo", target="answer")
    with pytest.raises(DataError, match="has no column 'reply'"):
        load(table, inputs="image", target="reply")
    with pytest.raises(DataError, match="one answer, not 2"):
        load(table, inputs="image", target=("answer", "question"))
    with pytest.raises(DataError, match="which column holds the answers"):
        load(write_csv(tmp_path / "t.csv", [{"a": "1", "b": "2", "c": "3"}] * 9), inputs="a")
    with pytest.raises(DataError, match="--inputs names columns of a table"):
        load("digits", inputs="image")
    with pytest.raises(UsageError, match="kim_cnn is a network for texts, not for rows; take towers_concat"):
        opsin.autotrain(table, network="kim_cnn", epochs=1)


def test_two_hundred_broken_rows_are_named(tmp_path: Path) -> None:
    """Missing files, files that are none, paths out of the folder, empty texts and numbers that are none."""
    rows = [row | {"size": number % 7} for number, row in enumerate(questions(tmp_path, 600))]
    (tmp_path / "secret.png").write_bytes((tmp_path / rows[0]["image"]).read_bytes())
    (tmp_path / "data").mkdir()
    (tmp_path / "images").rename(tmp_path / "data" / "images")
    broken: list[tuple[dict[str, Any], str]] = []
    for number in range(40):
        path = f"images/broken{number}.png"
        whole = (tmp_path / "data" / rows[number]["image"]).read_bytes()
        content = (whole[: 40 + number], b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(number))[number % 4]
        (tmp_path / "data" / path).write_bytes(content)
        broken += [
            ({"image": f"images/missing{number}.png"}, "'image'"), ({"image": path}, "'image'"),
            ({"image": ("../secret.png", "/etc/hostname")[number % 2]}, "leads out of the folder"),
            ({"question": ("", "\0\1")[number % 2]}, "'question'"),
            ({"size": ("many", "1e999", "nan", "12 cm", "")[number % 5]}, "'size'"),
        ]  # fmt: skip
    first = len(rows) + 1
    rows += [rows[number] | change for number, (change, _) in enumerate(broken)]
    data = load(write_json(tmp_path / "data" / "rows.json", rows), inputs=("image", "question", "size"))
    reasons = {problem.name: problem.reason for problem in data.receipt.problems}
    assert len(broken) == len(reasons) == 200
    for number, (_, text) in enumerate(broken):
        assert text in reasons[f"rows.json, row {first + number}"]
    assert sum(map(len, data.splits.values())) == 1200


def test_a_recording_and_a_number(tmp_path: Path) -> None:
    write_recordings(tmp_path, 20)
    rows = [
        {"clip": f"{label}/{number}.wav", "level": f"{number % 3}.5", "class": f"{label} {number % 3}"}
        for label in ("low", "high")
        for number in range(20)
    ]
    table = write_csv(tmp_path / "rows.csv", rows)
    data = load(table, inputs=("clip", "level"))
    assert [column.kind.kind for column in data.input.columns] == ["sound", "number"]
    model = opsin.autotrain(table, inputs=("clip", "level"), epochs=3, threads=1)
    (answer,) = model.predict({"clip": tmp_path / "low" / "0.wav", "level": 0.5})
    assert len(answer.ranking) == 6


def test_photos_and_attributes_give_a_price(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from opsin.apps.cli.main import run

    rows: list[dict[str, Any]] = []
    for number, (image, colour) in enumerate(write_images(tmp_path, 240)):
        area = 20 + 7 * (number * 37 % 31)
        rows.append({"photo": image, "area": area, "price (EUR)": 1000 * (colour == "red") + 10 * area + number % 5})
    rows.append(rows[0] | {"price (EUR)": "on request"})
    table, path = write_csv(tmp_path / "houses.csv", rows), tmp_path / "m.opsin"
    model = opsin.autotrain(table, inputs=("photo", "area"), target="price (EUR)", epochs=25, threads=1, out=path)
    data = load(table, model.preprocessing, target="price (EUR)")
    assert (data.task.name, data.classes, data.task.units) == ("regression", ("price",), ("EUR",))
    assert "'on request' in the column 'price (EUR)' is no number" in str(data.receipt.problems)
    assert model.evaluate(data.require_test()).score.metrics["r2"] >= 0.9
    alone = opsin.autotrain(table, inputs="area", target="price (EUR)", epochs=25, threads=1)
    assert (
        alone.evaluate(load(table, alone.preprocessing, target="price (EUR)").require_test()).score.metrics["r2"] <= 0.8
    )
    assert (
        run(["evaluate", str(path), str(table), "--target", "price (EUR)", "--report", str(tmp_path / "r.html")]) == 0
    )
    assert run(["predict", str(path), f"photo={tmp_path / 'images' / '0-0.png'}", "area=100"]) == 0
    assert "price" in capfd.readouterr().out
    with pytest.raises(DataError, match="classification and regression, not for detection"):
        load(table, inputs="photo", task="detection")


def test_the_command(trained: Any, table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from opsin.apps.cli.main import run

    _, path = trained
    image = f"image={table.parent / 'images' / '0-0.png'}"
    assert run(["predict", str(path), image, "question=is it blue?", "--json"]) == 0
    [answer] = json.loads(capfd.readouterr().out)
    assert answer["label"] == "no"
    asked = write_csv(table.parent / "asked.csv", [
        {"image": "images/0-1.png", "question": "is it blue?"}, {"image": "images/none.png", "question": "is it red?"}
    ])  # fmt: skip
    assert run(["predict", str(path), str(asked)]) == 1
    printed = capfd.readouterr()
    assert "asked.csv, line 2" in printed.out and "yes" in printed.out
    assert "line 3, image: there is no file" in printed.err
    assert run(["predict", str(path), image, str(asked)]) == 2
    assert "give NAME=VALUE" in capfd.readouterr().err
    report = tmp_path / "report.html"
    assert run(["evaluate", str(path), str(table), "--report", str(report)]) == 0
    page, printed_text = report.read_text(), capfd.readouterr().out
    assert "rows" in page and " images" not in printed_text
    options = ["--epochs", "1", "--threads", "1", "--no-report", "--run", str(tmp_path / "run")]
    assert run(["train", str(table), *options]) == 0
    assert "model.opsin image=… question=…" in capfd.readouterr().out
    assert run(["data", "check", str(table), "--inputs", "question", "--target", "answer"]) == 0
    assert "'question' (text)" in capfd.readouterr().out


def test_shifted_images_depend_on_the_position_alone(tmp_path: Path) -> None:
    write_images(tmp_path, 4)
    rows = [
        {"image": f"images/0-{number % 4}.png", "question": "is it red?", "answer": number % 2} for number in range(20)
    ]
    kind = load(write_json(tmp_path / "rows.json", rows)).input
    samples = kind.random(
        np.arange(12 * kind.shape[2], dtype=np.uint64).reshape(12, -1) * np.uint64(0x9E3779B97F4A7C15)
    )
    change = kind.augmentation("strong")
    changed = change(samples, 1, 2, 40)
    assert (changed != samples).any()
    assert (change(samples[4:], 1, 2, 44) == changed[4:]).all()
    assert (kind.augmentation("none")(samples, 1, 2, 0) == samples).all()
