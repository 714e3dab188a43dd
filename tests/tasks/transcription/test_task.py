"""The task: loss, answers, scores, words of other data."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.ir import BATCH, Graph, input_tensor
from opsin.tasks.geometry import Geometry
from opsin.tasks.registry import describe_task, described_task
from opsin.tasks.task import LossOptions
from opsin.tasks.transcription import Transcription
from opsin.tasks.transcription.sequences import Sequences

TASK = Transcription(("a", "b", "c"), longest=4, seconds=2.0)
SEQUENCES = [(1, 2), (), (3, 3, 1), (2,)]
UNMOVED = Geometry.resize(4, (1, 8), (1, 8))


def logits_of(paths: list[str], strength: float = 6.0) -> np.ndarray:
    """Return logits N × 4 × 1 × frames that favour a path: "-aa-b" is blank, a, a, blank, b."""
    classes = np.array([["-abc".index(letter) for letter in path] for path in paths])
    return np.asarray(strength * np.eye(4)[classes].transpose(0, 2, 1)[:, :, None], np.float32)


def test_the_loss_is_per_frame_and_leaves_out_what_is_impossible() -> None:
    targets, frames = Sequences.of(SEQUENCES), 3
    logits = np.random.default_rng(0).standard_normal((4, 4, 1, frames))
    x = input_tensor("logits", (BATCH, 4, 1, frames))
    objective = TASK.objective(LossOptions(), False)
    inputs = objective.targets({"logits": x})
    graph = Graph((x, *inputs.values()), {"loss": objective.loss({"logits": x}, inputs)})
    labels = TASK.encode(targets, UNMOVED, None)["labels"]
    loss = Reference(graph, 4, np.float64).run(logits=logits, labels=labels)["loss"]
    losses = TASK.reduce({"logits": logits}, targets).losses
    assert np.isinf(losses).tolist() == [False, False, True, False]
    assert loss == pytest.approx(losses[np.isfinite(losses)].sum() / 4)
    assert TASK.too_long(targets, Graph((x,), {"logits": x})).tolist() == [2]


def test_labels_of_a_step_have_one_length() -> None:
    labels = TASK.encode(Sequences.of(SEQUENCES), UNMOVED, None)["labels"]
    assert labels.tolist() == [[1, 2, -1, -1], [-1] * 4, [3, 3, 1, -1], [2, -1, -1, -1]]
    assert labels.dtype == np.int32


def test_answers_have_words_with_times() -> None:
    (answer,) = TASK.answers({"logits": logits_of(["--aa-b--"], 12.0)}, [(1, 8)], None, None)
    assert answer.text == "a b"
    assert [(word.text, word.begin, word.end) for word in answer.words] == [("a", 0.5, 1.0), ("b", 1.25, 1.5)]
    assert answer.probability > 0.99
    assert str(answer) == "a b (>99.9%): a 0.50–1.00 s (>99.9%), b 1.25–1.50 s (>99.9%)"
    assert answer.to_data()["words"][0] == {
        "text": "a",
        "begin": 0.5,
        "end": 1.0,
        "confidence": answer.words[0].confidence,
    }
    (silence,) = TASK.answers({"logits": logits_of(["--------"])}, [(1, 8)], None, None)
    assert str(silence) == "nothing"
    assert [str(each) for each in TASK.truth(Sequences.of(SEQUENCES))] == ["a b", "nothing", "c c a", "b"]


def test_scores_are_word_error_rates() -> None:
    outputs = {"logits": logits_of(["-a-b----", "---c----", "c-c-b---", "b-------"])}
    found = TASK.evaluate([TASK.reduce(outputs, Sequences.of(SEQUENCES))], None)
    assert (found.words, found.errors, found.exact) == (6, 2, 2)
    assert found.score.metrics == {"word_accuracy": pytest.approx(4 / 6), "exact_sequences": 0.5}
    assert found.to_data()["substitutions"] == found.to_data()["insertions"] == 1
    assert [section.heading for section in found.sections()] == [
        "Errors", "Confused words", "Recordings with the most errors"
    ]  # fmt: skip
    assert {("a", "b", "1"), ("–", "c", "1")} == {*found.sections()[1].table.rows}  # type: ignore[union-attr]
    assert found.worst(5) == [1, 2]
    short = TASK.evaluate([TASK.reduce({"logits": logits_of(["ab"] * 4)}, Sequences.of(SEQUENCES))], None)
    assert short.impossible == [2]
    assert short.sections()[-1].heading == "Recordings that are too short"


def test_words_of_other_data_are_found_by_name() -> None:
    other = Transcription(("c", "d", "a"))
    assert TASK.align(other, Sequences.of([(1, 3), ()])).rows() == [(3, 1), ()]
    with pytest.raises(DataError, match="a word 'd' that the model does not know"):
        TASK.align(other, Sequences.of([(2,)]))
    with pytest.raises(DataError, match="gives words, but the transcripts of the data are read as characters"):
        TASK.align(Transcription(("a",), characters=True), Sequences.of([(1,)]))


def test_networks_have_to_give_frames() -> None:
    TASK.check(nn.trace(zoo.create("ctc_cnn", 4), (1, 40, 100)))
    with pytest.raises(ShapeError, match="transcripts need logits N × 4 × 1 × frames; take a network such as ctc_cnn"):
        TASK.check(nn.trace(zoo.create("sound_cnn", 4), (1, 40, 100)))
    with pytest.raises(UsageError, match="class weights are for classes"):
        TASK.objective(LossOptions(class_weights=(1.0,)), False)


def test_a_frame_is_40_ms_and_sees_a_second() -> None:
    graph = nn.trace(zoo.create("ctc_cnn", 4), (1, 40, 400))
    assert graph.outputs["logits"].shape[1:] == (4, 1, 100)


def test_the_model_file_describes_it() -> None:
    assert described_task(describe_task(TASK)) == TASK
    explained = TASK.explained_scores({"logits": logits_of(["--aa-b--"])}, count=2)
    assert {each.label for each in explained} == {"a", "b"}
    (named,) = TASK.explained_scores({"logits": logits_of(["--aa-b--"])}, label="b")
    assert named.description == "the logit of 'b' in frame 6"
