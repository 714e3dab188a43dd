"""Texts as input: tables and files of them, their words, and a network that learns from them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.base.errors import DataError, UsageError
from opsin.data import load
from opsin.inputs.kind import Files
from opsin.inputs.text import Text
from opsin.inputs.text.augment import MaskedWords
from opsin.inputs.text.tokens import PADDING, UNKNOWN, split
from tests.inputs.sentences import sentences, write_table


def fitted(*texts: str) -> Text:
    return Text.fitted(Files([f"text {n}" for n in range(len(texts))], lambda n: texts[n].encode()))


def test_words_and_punctuation() -> None:
    assert split("It isn't BAD, at all…", "words") == ["it", "is", "n't", "bad", ",", "at", "all", ".", ".", "."]
    assert split("the film's “can’t”", "words") == ["the", "film", "'s", "“", "ca", "n't", "”"]
    assert split("é!", "bytes") == ["\xc3", "\xa9", "!"]


def test_the_vocabulary_is_ordered_by_frequency() -> None:
    kind = fitted("b b a", "b c a", "d b")
    assert (kind.words, kind.unit, kind.length) == (("b", "a", "c", "d"), "words", 8)
    sample = kind.read(b"d nothing b", "x")
    assert sample.reshape(-1).tolist() == [5, UNKNOWN, 2, *[PADDING] * 5]
    assert kind.words_of(sample) == ["d", "…", "b"]
    assert kind.apply(sample[None]).dtype == np.float32


def test_long_texts_are_cut_and_long_words_read_as_bytes() -> None:
    assert len(fitted("a b").words_of(fitted("a b").read(b"a " * 99, "x"))) == 8
    kind = fitted("donaudampfschifffahrtsgesellschaft" * 3, "\u4eca\u5929\u5929\u6c14\u5f88\u597d" * 9)
    assert (kind.unit, len(kind.words)) == ("bytes", 256)


def test_the_description_is_complete() -> None:
    kind = fitted("some words are here", "others there")
    assert Text.from_data(json.loads(json.dumps(kind.to_data()))) == kind
    for change in ({"length": 0}, {"unit": "lines"}, {"words": ["a", "a"]}):
        with pytest.raises(DataError, match="no sense"):
            Text.from_data(kind.to_data() | change)
    with pytest.raises(DataError, match="completely"):
        Text.from_data({"words": []})


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "no words"), (b" \n ", "no words"), (b"\x7fELF\0\0\1", "null bytes")]
)
def test_what_is_no_text(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"x: .*{reason}"):
        fitted("a word").read(content, "x")


def test_masked_words_depend_on_the_position_alone() -> None:
    samples = np.arange(2, 602, dtype=np.int32).reshape(20, 1, 1, 30)
    samples[:, :, :, 25:] = PADDING
    masked = MaskedWords(0.2)(samples, 1, 3, 40)
    hidden = masked != samples
    assert (masked[hidden] == UNKNOWN).all()
    assert 0.1 < hidden[..., :25].mean() < 0.3
    assert not hidden[..., 25:].any()
    assert (MaskedWords(0.2)(samples[5:], 1, 3, 45) == masked[5:]).all()
    assert (MaskedWords(0.2)(samples, 1, 4, 40) != masked).any()


@pytest.mark.parametrize("heads", [("review", "sentiment"), ("column", "other"), ("sentence", "class")])
def test_a_table_of_texts(tmp_path: Path, heads: tuple[str, str]) -> None:
    data = load(write_table(tmp_path / "films.csv", sentences(60), heads))
    assert (data.classes, data.train.kind, data.train.pixels.dtype) == (("bad", "good"), "text", np.int32)
    assert sum(map(len, data.splits.values())) == 60
    assert f"'{heads[0]}', labels in '{heads[1]}'" in data.receipt.text()
    assert "60 texts of 2 classes" in data.receipt.text()


def test_train_and_test_tables_in_a_folder(tmp_path: Path) -> None:
    write_table(tmp_path / "d" / "train.csv", sentences(40))
    write_table(tmp_path / "d" / "test.csv", sentences(10, 1))
    data = load(tmp_path / "d")
    assert (data.predefined_split, len(data.require_test())) == (True, 10)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in (tmp_path / "d").iterdir():
            archive.write(path, path.name)
    assert load(tmp_path / "d.zip").fingerprint == data.fingerprint


def test_lines_of_json(tmp_path: Path) -> None:
    rows = [json.dumps({"id": n, "text": text, "label": label}) for n, (text, label) in enumerate(sentences(30))]
    (tmp_path / "rows.jsonl").write_text("\n".join([*rows, "{broken", "[1]"]))
    assert sum(load(tmp_path / "rows.jsonl").receipt.totals.values()) == 30


def test_folders_of_text_files(tmp_path: Path) -> None:
    for number, (text, label) in enumerate(sentences(24)):
        path = tmp_path / "d" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "d" / "good" / "empty.txt").write_text("")
    data = load(tmp_path / "d")
    assert data.train.kind == "text"
    assert [(problem.name, problem.reason) for problem in data.receipt.problems] == [
        ("good/empty.txt", "it holds no words")
    ]


def test_the_same_text_with_two_labels_is_a_conflict(tmp_path: Path) -> None:
    rows = [*sentences(20), ("the very same words", "good"), ("the very same words", "bad")]
    receipt = load(write_table(tmp_path / "t.csv", rows)).receipt
    assert len(receipt.conflicts) == 1
    assert "1 group of the same text with several labels" in receipt.text()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of short sentences, its data and its file."""
    folder = tmp_path_factory.mktemp("texts")
    table = write_table(folder / "films.csv", sentences(240))
    model = opsin.autotrain(table, epochs=6, threads=1, out=folder / "m.opsin")
    return model, table, folder / "m.opsin"


def test_a_network_learns_and_its_file_reads_raw_texts(trained: Any) -> None:
    model, table, path = trained
    assert model.evaluate(load(table, model.preprocessing).require_test()).score.metrics["accuracy"] >= 0.9
    again = opsin.load(path)
    assert again.preprocessing == model.preprocessing
    assert again.check() == 0
    good, bad = again.predict(["this story is lovely", "a plot, dull and weak"], top=1)
    assert (good.ranking[0][0], bad.ranking[0][0]) == ("good", "bad")
    assert again.predict("this story is lovely")[0].ranking == again.predict(b"this story is lovely")[0].ranking


def test_the_number_of_threads_does_not_matter(trained: Any) -> None:
    model, table, _ = trained
    other = opsin.autotrain(table, epochs=6, threads=3)
    assert all((other.state[name] == array).all() for name, array in model.state.items())


def test_what_is_for_images(trained: Any, tmp_path: Path) -> None:
    model, table, _ = trained
    with pytest.raises(UsageError, match="model of texts; opsin ship is for models of images"):
        opsin.ship(model, "web")
    with pytest.raises(UsageError, match="lenet5 is a network for images, not for texts; take char_cnn or kim_cnn"):
        opsin.autotrain(table, network="lenet5", epochs=1)
    with pytest.raises(UsageError, match="kim_cnn is a network for texts, not for images"):
        opsin.autotrain("digits", network="kim_cnn", epochs=1)
    with pytest.raises(UsageError, match="--size is for images"):
        opsin.autotrain(table, size=64, epochs=1)
    with pytest.raises(DataError, match="holds texts, and the model takes images"):
        load(table, opsin.data.Preprocessing(1, 28, 28, (0.5,), (0.5,)))
    with pytest.raises(DataError, match="5 is no text; give"):
        model.predict([5])


def test_the_command(trained: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from opsin.apps.cli.main import run

    _, table, path = trained
    assert run(["predict", str(path), "the music is great", "--json"]) == 0
    [answer] = json.loads(capfd.readouterr().out)
    assert answer["label"] == "good"
    report = tmp_path / "report.html"
    assert run(["evaluate", str(path), str(table), "--report", str(report)]) == 0
    page, printed = report.read_text(), capfd.readouterr().out
    assert "texts" in page
    assert " images" not in printed
