"""Transcripts in tables and in files next to recordings."""

from __future__ import annotations

import pytest

from opsin.base.errors import DataError
from opsin.base.path_words import SOUND_ENDINGS
from opsin.tasks.transcription.reader import MAX_LENGTH, MAX_WORDS, read
from tests.tasks.memory_files import Content, MemoryFiles


class Recordings(MemoryFiles):
    kind, sample_endings = "sound", SOUND_ENDINGS


def recordings(count: int, **files: Content) -> Recordings:
    return Recordings(
        {f"{number}.wav": b"" for number in range(count)}, {k.replace("_", "."): v for k, v in files.items()}
    )


def found(files: Recordings, names: tuple[str, ...] = ()) -> dict[str, str]:
    annotations = read(files, lambda path: (1, 1), names)
    assert annotations is not None
    return {image.path: image.target for image in annotations.images}


def test_a_column_with_a_known_name() -> None:
    files = recordings(3, strings_csv="file,speaker,transcript\n0.wav,ann,three\n1.wav,bob, one  two \n2.wav,ann,\n")
    assert found(files) == {"0.wav": "three", "1.wav": "one two", "2.wav": ""}
    annotations = read(files, lambda path: (1, 1))
    assert annotations is not None
    assert annotations.settings == {"words": ("one", "three", "two"), "characters": False}
    assert "The transcript of 1 recordings is empty" in " ".join(annotations.notes)


def test_a_column_whose_words_have_an_order() -> None:
    files = recordings(4, a_csv="file,content\n0.wav,one two\n1.wav,two one\n2.wav,one\n3.wav,two\n")
    assert found(files)["1.wav"] == "two one"
    repeated = recordings(3, a_csv="file,content\n0.wav,one one\n1.wav,two three\n2.wav,one\n")
    assert found(repeated)["0.wav"] == "one one"
    classes = recordings(4, a_csv="file,label\n0.wav,grey cat\n1.wav,brown dog\n2.wav,grey cat\n3.wav,dog\n")
    assert read(classes, lambda path: (1, 1)) is None


def test_the_column_that_is_named() -> None:
    files = recordings(2, a_csv="file,text,digits\n0.wav,hello,1 2\n1.wav,world,2\n")
    assert found(files) == {"0.wav": "hello", "1.wav": "world"}
    assert found(files, ("Digits",)) == {"0.wav": "1 2", "1.wav": "2"}
    with pytest.raises(DataError, match=r"a\.csv has no column 'said'; it has 'text', 'digits'; name one"):
        read(files, lambda path: (1, 1), ("said",))
    with pytest.raises(DataError, match="one column, not in 2"):
        read(files, lambda path: (1, 1), ("text", "digits"))


def test_text_files_next_to_recordings() -> None:
    files = recordings(3, **{"0_txt": "one\ntwo\n", "2_txt": "two", "notes_txt": "nothing"})
    assert found(files) == {"0.wav": "one two", "2.wav": "two"}
    assert read(recordings(3), lambda path: (1, 1)) is None


def test_characters_of_many_words() -> None:
    words = [f"w{number}" for number in range(MAX_WORDS + 1)]
    rows = "\n".join(f"{number}.wav,{word}" for number, word in enumerate(words))
    annotations = read(recordings(len(words), a_csv=f"file,text\n{rows}\n"), lambda path: (1, 1))
    assert annotations is not None
    assert annotations.settings == {"words": tuple("0123456789w"), "characters": True}


def test_rows_that_cannot_be_used_are_named() -> None:
    rows = f"0.wav,one\n0.wav,two\n1.wav,{'one ' * MAX_LENGTH}\n2.wav,one two\n9.wav,one\n"
    annotations = read(recordings(3, a_csv=f"file,text\n{rows}"), lambda path: (1, 1))
    assert annotations is not None
    assert [image.path for image in annotations.images] == ["0.wav", "2.wav"]
    assert [(problem.name, problem.kind) for problem in annotations.problems] == [
        ("a.csv, line 3", "contradicting rows"), ("a.csv, line 4", "invalid label"), ("a.csv, line 6", "missing image"),
    ]  # fmt: skip


def test_images_have_no_transcripts() -> None:
    files = MemoryFiles({"0.png": b"", "1.png": b"", "a.csv": "file,text\n0.png,one two\n1.png,two one\n"})
    assert read(files, lambda path: (1, 1)) is None
