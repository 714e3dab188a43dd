"""What is said in a recording: a sequence of words or characters, learned without their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin import ops
from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.ir import BATCH, INT, Graph, Tensor, input_tensor
from opsin.nn import Objective
from opsin.nn.objective import Tensors
from opsin.ops import OPS
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import check_same_task, outputs_text
from opsin.tasks.explained_score import ExplainedScore, known, one_hot
from opsin.tasks.geometry import Geometry
from opsin.tasks.probabilities import softmax
from opsin.tasks.score import Score
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size, numbered
from opsin.tasks.transcription.decoding import BLANK, Floats, align, beam_search, best_path
from opsin.tasks.transcription.draw import draw_transcript
from opsin.tasks.transcription.evaluation import WORD_ACCURACY, Results, TranscriptionEvaluation
from opsin.tasks.transcription.reader import read
from opsin.tasks.transcription.sequences import Sequences, padded
from opsin.tasks.transcription.transcript import Transcript, Word

NETWORK = "ctc_cnn"

MAX_LOSS = 1e30
"""Larger losses are infinite: those of transcripts that no path spells."""


@dataclass(frozen=True)
class SequenceLoss:
    """The loss of connectionist temporal classification per frame: see `opsin.ops.ctc_loss`.

    The output "logits" is N × classes × 1 × frames, the target "labels" N × `longest`. A transcript that no path
    spells, because it has more labels than there are frames, has the loss 0 and no gradient.
    """

    longest: int

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {"labels": input_tensor("labels", (BATCH, self.longest), INT)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        logits = outputs["logits"]
        batch, classes, _, frames = logits.shape
        assert isinstance(frames, int)
        by_frame = ops.transpose(ops.reshape(logits, (batch, classes, frames)), (0, 2, 1))
        losses = ops.ctc_loss(by_frame, targets["labels"])
        possible = ops.where(ops.greater(losses, MAX_LOSS), 0.0, losses)
        return ops.multiply(ops.mean(possible), 1 / frames)

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Transcription:
    """A sequence of `words` for each recording, or of characters; up to `longest` in training.

    The network's output "logits" is N × classes × 1 × frames. Class 0 is the blank, class n is word n from 1 on.
    `seconds` is the time of all frames; 0 if it is not known.
    """

    name: ClassVar[str] = "transcription"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = False
    warps: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = False

    words: tuple[str, ...]
    characters: bool = False
    longest: int = 1
    seconds: float = 0.0

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the recordings with transcripts, in a table or in files next to them; None if there are none."""
        return read(files, image_size, columns)

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Sequences:
        """Return the labels of the words in each transcript."""
        numbers = {word: number for number, word in enumerate(settings["words"], start=1)}
        parts = (image.target if settings["characters"] else image.target.split() for image in images)
        return Sequences.of([[numbers[part] for part in each] for each in parts])

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Sequences) -> Transcription:
        """Return the task for the "words" in `settings`, whether they are "characters", and the "seconds"."""
        longest = int(targets.lengths.max(initial=1))
        seconds = float(settings.get("seconds", 0.0))
        return cls(tuple(settings["words"]), bool(settings["characters"]), max(1, longest), seconds)

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return the plan: see `sample_defaults`, as there is none for images."""
        return cls.sample_defaults(summary.count)

    @classmethod
    def sample_defaults(cls, count: int) -> Defaults:
        """Return what a plan without options takes for so many recordings.

        Recordings are not shifted at random: what leaves at an end would still be in the transcript.
        """
        return Defaults(
            network=NETWORK, side=0, pretrained=False, fallback=NETWORK, batch=16, learning_rate=0.004,
            weight_decay=0.05, augment="none", ema=0.98, max_epochs=60, min_epochs=5,
            reason="which gives the probabilities of words for every 40 ms",
        )  # fmt: skip

    @classmethod
    def with_outputs(cls, count: int) -> Transcription:
        """Return the task for words that are called 1, 2, …; with the blank there are `count` outputs."""
        return cls(numbered(count - 1))

    def for_network(self, network: str, input_size: Size) -> Transcription:
        """Return the task itself, which does not depend on the network."""
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The words."""
        return self.words

    @property
    def outputs(self) -> int:
        """The number of words, and the blank."""
        return len(self.words) + 1

    @property
    def chance_loss(self) -> float:
        """About the loss per frame of equal probabilities of all classes."""
        return log(self.outputs)

    def subject(self) -> str:
        """Return `sequences of 10 words`."""
        return f"sequences of {len(self.words)} {'characters' if self.characters else 'words'}"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless there are logits of each word and the blank in each frame."""
        logits = graph.outputs.get("logits")
        if logits is None or logits.rank != 4 or logits.shape[1:3] != (self.outputs, 1):
            raise ShapeError(
                f"the network gives {outputs_text(graph)}, but transcripts need logits N × {self.outputs} × 1 × "
                f"frames; take a network such as {NETWORK}, or end it with Conv1d({self.outputs}, 1)"
            )

    def too_long(self, targets: Sequences, graph: Graph) -> NDArray[np.intp]:
        """Return the numbers of transcripts with more labels than `graph` has frames: they cannot be learned."""
        frames = graph.outputs["logits"].shape[3]
        return np.flatnonzero(targets.least_frames > int(str(frames)))

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the loss of sequences. Raise `UsageError` for options that only classes have."""
        if options.class_weights is not None or options.logit_adjustment is not None:
            raise UsageError("class weights are for classes; leave them out for transcripts")
        return SequenceLoss(self.longest)

    def encode(self, targets: Sequences, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "labels", int32 N × longest."""
        return {"labels": padded(targets.rows(), self.longest)}

    def moved(self, targets: Sequences, geometry: Geometry) -> Sequences:
        """Return the transcripts themselves: they do not depend on where things are."""
        return targets

    def align(self, other: Any, targets: Sequences) -> Sequences:
        """Return transcripts in the words of this task. Raise `DataError` for a word that it does not know."""
        check_same_task(self, other)
        if self.characters != other.characters:
            parts, others = ("characters", "words") if self.characters else ("words", "characters")
            raise DataError(f"the model gives {parts}, but the transcripts of the data are read as {others}")
        used = {other.words[label - 1] for label in np.unique(targets.matrix).tolist() if label > 0}
        if unknown := sorted(used - {*self.words}):
            raise DataError(f"the data has a word '{unknown[0]}' that the model does not know")
        numbers = [0, *(self.words.index(word) + 1 if word in self.words else 0 for word in other.words), -1]
        return Sequences(np.asarray(np.array(numbers, np.int32)[targets.matrix]))

    def probabilities_by_frame(self, outputs: Outputs) -> Floats:
        """Return the probability of each class in each frame, N × frames × classes."""
        return softmax(outputs["logits"][:, :, 0].transpose(0, 2, 1).astype(np.float64), axis=2)

    def reduce(self, outputs: Outputs, targets: Sequences) -> Results:
        """Return true and answered labels, and the losses."""
        probabilities = self.probabilities_by_frame(outputs)
        logits = outputs["logits"][:, :, 0].transpose(0, 2, 1).astype(np.float64)
        losses = OPS["ctc_loss"].evaluate(logits, targets.matrix) / logits.shape[1]
        return Results(tuple(targets.rows()), tuple(map(best_path, probabilities)), losses)

    def evaluate(self, results: Sequence[Results], calibration: Any) -> TranscriptionEvaluation:
        """Return the word error rate and what it consists of."""
        return TranscriptionEvaluation(self.words, Results.concatenate(results), self.characters)

    def calibrate(self, results: Sequence[Results]) -> None:
        """Return nothing: transcripts are not calibrated."""

    def answers(self, outputs: Outputs, sizes: Sequence[Size], calibration: Any, top: int | None) -> list[Transcript]:
        """Return the most probable transcript of each recording, with the times of its words."""
        return [self._transcript(frames) for frames in self.probabilities_by_frame(outputs)]

    def _transcript(self, frames: Floats) -> Transcript:
        labels, probability = beam_search(frames)
        step = (self.seconds or 1.0) / len(frames)
        words = tuple(
            Word(self.words[label - 1], span.first * step, span.end * step, span.confidence, self.seconds > 0)
            for label, span in zip(labels, align(frames, labels), strict=False)
        )
        return Transcript(self._text(labels), words, probability)

    def _text(self, labels: Sequence[int]) -> str:
        return ("" if self.characters else " ").join(self.words[label - 1] for label in labels)

    def truth(self, targets: Sequences) -> list[Transcript]:
        """Return the true transcripts as answers, without times."""
        return [Transcript(self._text(row)) for row in targets.rows()]

    def draw(self, image: Image, answer: Transcript) -> Image:
        """Return a copy of the rendered recording with the words and where they begin and end."""
        return draw_transcript(image, answer, self.seconds)

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the logits of the `count` most probable words of a recording in their frames, or that of `label`."""
        logits = outputs["logits"][0]
        peaks = logits[BLANK + 1 :, 0].max(axis=1)
        order = [self.words.index(known(label, self.words))] if label is not None else np.argsort(-peaks)[:count]
        return [self._explained(logits, int(number)) for number in order]

    def _explained(self, logits: NDArray[Any], number: int) -> ExplainedScore:
        word, frame = self.words[number], int(logits[number + 1, 0].argmax())
        weights = one_hot(logits.shape, (number + 1, 0, frame))
        return ExplainedScore(word, f"the logit of '{word}' in frame {frame + 1}", {"logits": weights}, "identity")

    def metric(self, balanced: bool) -> str:
        """Return the name of the word accuracy, 1 minus the word error rate."""
        return WORD_ACCURACY

    def is_constant(self, score: Score, targets: Sequences) -> bool:
        """Return whether saying nothing would have been as good."""
        return score.value <= 0

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "words": list(self.words), "characters": self.characters, "longest": self.longest, "seconds": self.seconds
        }  # fmt: skip

    def calibration_from_data(self, data: Mapping[str, Any]) -> None:
        """Return nothing: transcripts are not calibrated."""
