"""What a report says of transcripts: kinds of errors, words that are confused, and examples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from opsin.base.formatting import percent
from opsin.tasks.section import Example, Section, Table

if TYPE_CHECKING:
    from opsin.tasks.transcription.evaluation import TranscriptionEvaluation

KINDS = ("substitutions", "deletions", "insertions")
MAX_ROWS, MAX_EXAMPLES = 20, 12


def sections(evaluation: TranscriptionEvaluation) -> list[Section]:
    """Return the sections of a report, the most important first."""
    return [_errors(evaluation), *_confusions(evaluation), *_examples(evaluation), *_impossible(evaluation)]


def _errors(evaluation: TranscriptionEvaluation) -> Section:
    counts = [sum(len(getattr(each, kind)) for each in evaluation.edits) for kind in KINDS]
    unit, words = evaluation.unit, max(1, evaluation.words)
    rows = tuple(
        (name, f"{count:,}", percent(count / words))
        for name, count in zip((*KINDS, "all errors"), (*counts, evaluation.errors), strict=True)
    )
    low, high = (percent(bound) for bound in evaluation.exact_interval)
    text = (
        f"Of {evaluation.images:,} recordings with {evaluation.words:,} {unit}s, {evaluation.exact:,} are transcribed "
        f"without an error: {percent(evaluation.exact / max(1, evaluation.images))}, between {low} and {high} with 95% "
        f"confidence. The {unit} error rate is the number of {unit}s that have to be replaced, inserted or deleted to "
        f"make the true transcript of the answer, for each {unit} of the truth."
    )
    return Section("Errors", (text,), Table(("error", "number", f"per {unit}"), rows))


def _confusions(evaluation: TranscriptionEvaluation) -> list[Section]:
    """Return the most frequent errors, by word."""
    name = dict(enumerate(evaluation.names, start=1))
    errors = Counter[tuple[str, str]]()
    for each in evaluation.edits:
        errors.update((name[true], name[answer]) for true, answer in each.substitutions)
        errors.update((name[true], "–") for true in each.deletions)
        errors.update(("–", name[answer]) for answer in each.insertions)
    if not errors:
        return []
    rows = tuple((true, answer, f"{count:,}") for (true, answer), count in errors.most_common(MAX_ROWS))
    text = "A dash stands for nothing: what is missing in the answer, or was added to it."
    return [Section(f"Confused {evaluation.unit}s", (text,), Table(("truth", "answer", "number"), rows))]


def _examples(evaluation: TranscriptionEvaluation) -> list[Section]:
    numbers = evaluation.worst(MAX_EXAMPLES)
    examples = tuple(Example(number, _caption(evaluation.edits[number].count)) for number in numbers)
    return [Section("Recordings with the most errors", examples=examples)] if examples else []


def _caption(errors: int) -> str:
    return "1 error" if errors == 1 else f"{errors} errors"


def _impossible(evaluation: TranscriptionEvaluation) -> list[Section]:
    numbers = evaluation.impossible
    if not numbers:
        return []
    text = (
        f"Of the recordings, {len(numbers):,} cannot be transcribed without an error, because they are too short or "
        "their transcripts are wrong: the network answers once in a frame, and needs at least one for each label."
    )
    examples = tuple(Example(number, "too short for its transcript") for number in numbers[:MAX_EXAMPLES])
    return [Section("Recordings that are too short", (text,), examples=examples)]
