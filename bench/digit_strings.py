"""Strings of digits: recordings of single digits are joined, and a transcriber learns to write down the strings.

    PYTHONPATH=src python bench/digit_strings.py spoken-digits.zip [--speaker theo] [--json FILE]

A string is one to seven recordings of a speaker with gaps of 0.05 to 0.4 s before, between and after them, and white
noise 20 to 30 dB below the recordings. Test strings are joined from recordings that no other string contains: takes 0
to 4 of each speaker and digit, which is the split of the author of the recordings, or, with `--speaker`, all
recordings of a speaker who is in no training string. Validation strings are joined from takes 45 to 49.
`opsin.autotrain` gets the strings as WAV files with a table of transcripts. Printed are the word error rates of the
best path and of the prefix beam search, with an interval from 2,000 samples of the test strings with replacement
(bootstrap, 95%).
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

import opsin
from opsin.base.formatting import percent
from opsin.base.intervals import share_interval
from opsin.data import load
from opsin.inputs.sound.decode import decode
from opsin.inputs.sound.render import wav_bytes
from opsin.tasks.transcription.decoding import Labels, beam_search, best_path
from opsin.tasks.transcription.edits import edits

RATE, MOST_DIGITS = 8000, 7
WORDS = "zero one two three four five six seven eight nine".split()
TEST_TAKES, VALIDATION_TAKES = range(5), range(45, 50)
COUNTS = {"train": 3000, "validation": 200, "test": 500}
SAMPLES = 2000

Recordings = dict[tuple[str, str], dict[int, list[NDArray[np.float32]]]]
"""Recordings by split and speaker, and by digit."""


def recordings(archive: Path, held_out: str | None) -> Recordings:
    """Return the recordings in the archive, with the split of each."""
    result: Recordings = defaultdict(lambda: defaultdict(list))
    with zipfile.ZipFile(archive) as files:
        for row in csv.DictReader(io.StringIO(files.read("recordings.csv").decode())):
            speaker, take = row["speaker"], int(row["take"])
            split = "validation" if take in VALIDATION_TAKES else "train"
            if speaker == held_out or (held_out is None and take in TEST_TAKES):
                split = "test"
            sound = decode(files.read(row["path"]), row["path"], RATE).samples.reshape(-1)
            result[split, speaker][int(row["digit"])].append(sound.astype(np.float32) / np.float32(32768))
    return result


def joined(digits: dict[int, list[NDArray[np.float32]]], rng: np.random.Generator) -> tuple[NDArray[np.float64], str]:
    """Return a string of recordings of one speaker, and its transcript."""
    numbers = rng.integers(0, 10, int(rng.integers(1, MOST_DIGITS + 1))).tolist()

    def gap() -> NDArray[np.float32]:
        return np.zeros(int(rng.uniform(0.05, 0.4) * RATE), np.float32)

    parts = [gap()]
    for number in numbers:
        parts += [digits[number][int(rng.integers(len(digits[number])))], gap()]
    sound = np.concatenate(parts).astype(np.float64)
    level = np.sqrt((np.concatenate(parts[1::2]) ** 2).mean()) * 10 ** (-rng.uniform(20, 30) / 20)
    return sound + level * rng.standard_normal(len(sound)), " ".join(WORDS[number] for number in numbers)


def write_strings(folder: Path, parts: Recordings, share: float) -> None:
    """Write the strings of all splits and their table."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    with (folder / "strings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "text", "split"))
        for split, count in COUNTS.items():
            speakers = sorted(speaker for part, speaker in parts if part == split)
            for number in range(round(share * count)):
                sound, text = joined(parts[split, speakers[number % len(speakers)]], rng)
                name = f"{split}{number:05}.wav"
                (folder / name).write_bytes(wav_bytes(np.clip(np.rint(32767 * sound), -32768, 32767), RATE))
                table.writerow((name, text, split))


def error_rates(
    truth: Sequence[Labels], answers: Sequence[Labels], seed: int = 0
) -> tuple[float, float, float, int, list[int]]:
    """Return the word error rate with its bounds, the strings without an error, and the errors by kind."""
    found = [edits(*pair) for pair in zip(truth, answers, strict=True)]
    errors, words = np.array([each.count for each in found]), np.array([len(labels) for labels in truth])
    rows = np.random.default_rng(seed).integers(0, len(truth), (SAMPLES, len(truth)))
    low, high = np.quantile(errors[rows].sum(1) / words[rows].sum(1), (0.025, 0.975))
    kinds = [sum(len(getattr(each, kind)) for each in found) for kind in ("substitutions", "deletions", "insertions")]
    return float(errors.sum() / words.sum()), float(low), float(high), int((errors == 0).sum()), kinds


def measured(folder: Path, budget: float, threads: int | None) -> tuple[list[list[str]], dict[str, object]]:
    """Train on the strings in a folder, and return a row for each way of decoding."""
    start = perf_counter()
    model = opsin.autotrain(folder, budget=budget, threads=threads)
    seconds = perf_counter() - start
    data = load(folder, model.preprocessing, task="transcription")
    test = data.require_test()
    frames = model.task.probabilities_by_frame(model.outputs(test.pixels))
    truth = model.task.align(test.task, test.targets).rows()
    ways: dict[str, Callable[[NDArray[np.float64]], Labels]] = {
        "best path": best_path, "prefix beam, 8": lambda each: beam_search(each)[0]
    }  # fmt: skip
    rows = []
    for name, way in ways.items():
        start = perf_counter()
        answers = [way(each) for each in frames]
        each = (perf_counter() - start) / len(frames)
        rate, low, high, exact, kinds = error_rates(truth, answers)
        share = " to ".join(percent(bound) for bound in share_interval(exact, len(truth)))
        rows.append([
            name, f"{100 * rate:.2f}% ({100 * low:.2f} to {100 * high:.2f})", " + ".join(map(str, kinds)),
            f"{sum(map(len, truth)):,}", f"{percent(exact / len(truth))} ({share})", f"{1000 * each:.2f} ms",
            f"{seconds:.0f} s",
        ])  # fmt: skip
    return rows, {"network": model.network, "parameters": sum(value.size for value in model.state.values())}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("archive")
    arguments.add_argument("--budget", type=float, default=540.0, help="seconds for training and report")
    arguments.add_argument("--speaker", help="a speaker to hold out")
    arguments.add_argument("--threads", type=int)
    arguments.add_argument("--share", type=float, default=1.0, help="share of the strings, for a quick try")
    options = arguments.parse_args()
    record, speaker = begin(options), options.speaker
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "strings"
        write_strings(folder, recordings(Path(options.archive), speaker), options.share)
        found, details = measured(folder, options.budget, options.threads)
    who = f"of {speaker}, who is in no training string" if speaker else "of held-out recordings"
    rows = [[f"{who}, {row[0]}", *row[1:]] for row in found]
    columns = (
        "test strings, decoding", "word error rate (95%)", "replaced + missing + added", "words",
        "strings without an error (95%)", "decoding of a string", "training",
    )  # fmt: skip
    finish(options, record | details | print_table(columns, rows))


if __name__ == "__main__":
    main()
