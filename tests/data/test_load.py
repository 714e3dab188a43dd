"""`data.load`: parts, sizes, what is left out, and what a second run knows without opening a file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset, LabeledImages, Preprocessing, load
from opsin.data.decode import Crop
from opsin.data.ingest import decode, decode_settings
from opsin.data.ingest.arrays import complete
from opsin.data.ingest.decode_settings import OnDemandImages
from opsin.data.ingest.resize import resized
from opsin.data.load import load_source
from opsin.data.store import StoredImages, StoreWriter
from opsin.model.pretrained import preprocessing_of
from tests.data.files import noise, write_image, write_stripes
from tests.data.ingest.in_memory import Files, encoded, photo, photos


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, in which small data is kept, too."""
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decode, "MIN_CACHED_BYTES", 0)
    return tmp_path / "cache" / "pictures"


def same(one: Dataset, other: Dataset) -> bool:
    """Whether two datasets hold the same images in the same parts."""
    pairs = [(one.train, other.train), (one.test, other.test), (one.validation, other.validation)]
    return one.fingerprint == other.fingerprint and all(
        a is not None and b is not None and np.array_equal(a.pixels, b.pixels) and np.array_equal(a.labels, b.labels)
        for a, b in pairs
    )


# -- parts ------------------------------------------------------------------------------------


def test_class_folders_are_split_the_same_way_every_time(tmp_path: Path) -> None:
    data = load(write_stripes(tmp_path / "stripes"))
    assert (data.name, data.shape, data.classes) == ("stripes", (1, 12, 12), ("lying", "standing"))
    assert data.validation is not None
    assert not data.predefined_split
    assert (data.train.counts(), data.validation.counts(), data.test.counts()) == ([14, 14], [2, 2], [4, 4])
    assert same(data, load(tmp_path / "stripes"))
    assert len(data.all_images()) == 40
    assert data.test.names is not None
    assert len(set(data.all_images().names or ())) == 40
    other = load(tmp_path / "stripes", seed=1)
    assert other.test.names != data.test.names


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_validation_split_is_not_measured_with(tmp_path: Path, name: str) -> None:
    write_stripes(tmp_path / "train", 5)
    write_stripes(tmp_path / name, 2)
    data = load(tmp_path)
    assert data.validation is not None
    assert (data.train.counts(), data.validation.counts(), data.test.counts()) == ([4, 4], [2, 2], [1, 1])
    assert not data.predefined_split
    assert data.receipt is not None
    assert data.receipt.split_note.startswith("validation is given by the data; test is a fifth of each class")


def test_a_test_split_is_measured_with(tmp_path: Path) -> None:
    write_stripes(tmp_path / "train", 6)
    write_stripes(tmp_path / "test", 2)
    data = load(tmp_path)
    assert data.validation is not None
    assert (data.train.counts(), data.validation.counts(), data.test.counts()) == ([5, 5], [1, 1], [2, 2])
    assert data.predefined_split
    assert data.test.names is not None
    assert {name.split("/")[0] for name in data.test.names} == {"test"}


def test_a_train_folder_alone_is_split_and_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_stripes(tmp_path / "a" / "train", 6)
    assert load(tmp_path / "a").test.counts() == [1, 1]
    for kind in ("plane", "train"):
        for number in range(3):
            write_image(tmp_path / "b" / kind / f"{number}.png", noise(number, 4, 4))
    assert load(tmp_path / "b").classes == ("plane", "train")


def test_duplicates_stay_in_one_split() -> None:
    files = photos(12)
    for kind in ("cat", "dog"):
        for number in range(12):
            image = photo((1000 if kind == "dog" else 0) + number)
            files.add(f"{kind}/{number}-small.jpg", encoded(image.resize((48, 48)), "jpeg", quality=60))
            files.add(f"{kind}/{number}-again.png", files.content[f"{kind}/{number}.png"])
    data = load_source(files, "files")
    assert data.receipt is not None
    assert len(data.receipt.duplicates) == 24
    assert {len(group.members) for group in data.receipt.duplicates} == {3}
    assert not data.receipt.leaks
    assert data.test.counts() == [6, 6]


def test_leaks_and_conflicts_are_named_and_nothing_is_moved() -> None:
    files = photos(5, part="train")
    other = photos(2, classes=("dog", "cat"), part="test")
    for item in other.items:
        files.add(item.name, encoded(photo(50 + len(files.items))), item.label, "test")
    files.add("test/cat/leak.jpg", encoded(photo(3), "jpeg", quality=50), "cat", "test")
    files.add("train/dog/wrong.png", files.content["train/cat/1.png"], "dog", "train")
    data = load_source(files, "files")
    receipt = data.receipt
    assert receipt is not None
    assert [[m.name for m in group.members] for group in receipt.leaks] == [["train/cat/3.png", "test/cat/leak.jpg"]]
    assert [(g.kind, [m.name for m in g.members]) for g in receipt.conflicts] == [
        ("exact", ["train/cat/1.png", "train/dog/wrong.png"])
    ]
    assert "test/cat/leak.jpg" in (data.test.names or ())
    assert sum(receipt.counts["test"].values()) == 5


def test_classes_only_the_test_split_has_are_refused(tmp_path: Path) -> None:
    write_stripes(tmp_path / "train", 2)
    write_image(tmp_path / "test" / "slanted" / "1.png", noise(0, 12, 12))
    with pytest.raises(DataError, match=r"^the test split of .* has a class 'slanted' that its training split lacks"):
        load(tmp_path)


def test_arrays_get_all_splits_and_a_receipt() -> None:
    pixels = np.stack([np.asarray(photo(n, 40)) for n in range(40)]).transpose(0, 3, 1, 2)
    pixels[7], pixels[11] = pixels[5], 255 - (255 - pixels[9].astype(int)) * 9 // 10
    images = LabeledImages(np.ascontiguousarray(pixels), (np.arange(40) % 2).astype(np.int32), ("a", "b"))
    data = complete(Dataset("arrays", images, None, False), 0, 0.0)
    assert data.validation is not None
    assert data.receipt is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (28, 4, 8)
    assert [(group.kind, [m.name for m in group.members]) for group in data.receipt.duplicates] == [
        ("exact", ["image 5", "image 7"]), ("near", ["image 9", "image 11"]),
    ]  # fmt: skip
    own = complete(Dataset("arrays", images.take(np.arange(10)), images.take(np.arange(10, 40)), True), 0, 0.0)
    assert own.test.counts() == [15, 15]
    assert np.array_equal(own.test.pixels, images.pixels[10:])
    assert own.receipt is not None
    assert [[m.name for m in group.members] for group in own.receipt.leaks] == [["train 9", "test 1"]]


def test_arrays_are_resized_as_files_are(tmp_path: Path) -> None:
    digits = load("digits")
    large = load("digits", size=40)
    assert large.shape == (1, 40, 40) and large.fingerprint == digits.fingerprint
    file = tmp_path / "digit.png"
    Image.fromarray(digits.test.pixels[3, 0]).save(file)
    for like in (Preprocessing(1, 40, 40, (0.5,), (0.5,)), preprocessing_of("efficientnet_lite0", 64)):
        data = load("digits", like)
        assert data.shape == like.shape and data.receipt is not None and data.receipt.shape == like.shape
        np.testing.assert_array_equal(data.test.pixels[3], like.read(file, "digit.png"))
    several = replace(digits.train, pixels=np.repeat(digits.train.pixels, 2, axis=1))
    with pytest.raises(UsageError, match="has 2 channels, but only grey and RGB images can be resized"):
        resized(replace(digits, train=several), (2, 16, 16), None)


# -- sizes ------------------------------------------------------------------------------------


def test_sizes_and_colours_follow_the_images(tmp_path: Path) -> None:
    for number, shape in enumerate([(40, 50, 3), (30, 20, 3), (100, 90, 3), (48, 48)]):
        write_image(tmp_path / "mixed" / f"c{number % 2}" / f"{number}.png", noise(number, *shape))
    assert load(tmp_path / "mixed").shape == (3, 44, 44)

    for number in range(4):
        grey = np.repeat(noise(number, 9, 11)[..., None], 3, axis=2)
        write_image(tmp_path / "grey" / f"c{number % 2}" / f"{number}.png", grey)
    assert load(tmp_path / "grey").shape == (1, 9, 11), "grey images saved as RGB"

    for number in range(4):
        write_image(tmp_path / "large" / f"c{number % 2}" / f"{number}.jpg", noise(number, 200, 300, 3))
    assert load(tmp_path / "large").shape == (3, 64, 64)
    assert load(tmp_path / "large", size=100).shape == (3, 100, 100)
    like = Preprocessing(1, 10, 12, (0.5,), (0.2,))
    assert load(tmp_path / "large", like).shape == (1, 10, 12)
    with pytest.raises(UsageError, match="the size must be at least 1 pixel, not 0"):
        load(tmp_path / "large", size=0)


@pytest.mark.parametrize("memory", [2**28, 0])
@pytest.mark.parametrize("cache_size", [10**9, 0])
def test_images_are_as_the_preprocessing_reads_them(
    monkeypatch: pytest.MonkeyPatch, memory: int, cache_size: int
) -> None:
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", memory)
    files = photos(4)
    files.add("dog/paper.png", encoded(photo(7).point(lambda v: 200 + v // 5)))
    for like in (
        Preprocessing(3, 32, 40, (0.5,) * 3, (0.2,) * 3),
        Preprocessing(3, 32, 32, (0.5,) * 3, (0.2,) * 3, crop=Crop(36, "bilinear")),
        Preprocessing(1, 20, 20, (0.5,), (0.2,), dark_background=True),
    ):
        for _ in range(2):
            everything = load_source(files, "files", like, cache_size=cache_size).all_images()
            for pixels, name in zip(everything.pixels[:], everything.names or (), strict=True):
                assert np.array_equal(pixels, like.read(files.content[name], name)), name


# -- what is left out -------------------------------------------------------------------------


def test_what_cannot_be_used_is_left_out_by_name() -> None:
    files = photos(4, ("cat", "dog", "eel", "fox"))
    for number in range(4):
        files.content[f"eel/{number}.png"] = b"" if number else b"text"
    for number in range(1, 4):
        del files.content[f"fox/{number}.png"]
    files.content["cat/2.png"] = files.content["cat/2.png"][:-100]
    for _ in range(2):
        data = load_source(files, "files")
        receipt = data.receipt
        assert receipt is not None
        assert data.classes == ("cat", "dog", "fox")
        assert {p.name: p.kind for p in receipt.problems} == {
            "cat/2.png": "damaged", "eel/0.png": "no image", "eel/1.png": "empty", "eel/2.png": "empty",
            "eel/3.png": "empty", "fox/1.png": "missing", "fox/2.png": "missing", "fox/3.png": "missing",
        }  # fmt: skip
        assert (receipt.empty_classes, receipt.single_image_classes) == (("eel",), ("fox",))
        assert receipt.totals == {"dog": 4, "cat": 3, "fox": 1}
        assert receipt.counts["train"]["fox"] == 1
    assert not any(name.startswith(("eel", "cat/2")) for name in files.reads[len(files.items) * 2 :]), "read again"


def test_images_of_a_class_that_cannot_be_trained_are_left_out() -> None:
    files = photos(3, part="train")
    files.add("train/eel/0.png", b"", "eel", "train")
    files.add("test/cat/0.png", encoded(photo(90)), "cat", "test")
    files.add("test/eel/0.png", encoded(photo(91)), "eel", "test")
    data = load_source(files, "files")
    assert data.receipt is not None
    assert data.receipt.problems[-1].name == "test/eel/0.png"
    assert data.receipt.problems[-1].reason == "no training image of its class can be read"
    assert len(data.test) == 1


def test_too_little_is_refused(tmp_path: Path) -> None:
    one = tmp_path / "one"
    write_image(one / "cat" / "1.png", noise(0, 4, 4))
    write_image(one / "cat" / "2.png", noise(1, 4, 4))
    with pytest.raises(DataError) as caught:
        load(one)
    assert (
        str(caught.value)
        == f"{one} holds images of one class only ('cat'); training needs images of at least two classes"
    )
    (one / "dog").mkdir()
    (one / "dog" / "1.png").write_text("no image")
    with pytest.raises(
        DataError, match=r"at least two classes.\n1 of its files cannot be used, such as dog/1.png: not an im"
    ):
        load(one)


@pytest.mark.parametrize("count", [1, 5])
def test_a_few_images_are_all_trained_on(tmp_path: Path, count: int) -> None:
    data = load(write_stripes(tmp_path / "few", count))
    assert data.train.counts() == [count, count] and data.validation is None and data.test is None
    assert data.receipt is not None and data.receipt.split_note.startswith("no class has more than 5 training images")


def test_a_lone_image_is_trained_on() -> None:
    files = photos(10, ("many",))
    files.add("one/1.png", encoded(photo(99)))
    data = load_source(files, "files")
    assert (data.train.counts(), data.test.counts()) == ([7, 1], [2, 0])


# -- the cache --------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [2**28, 0])
def test_a_second_run_opens_no_file(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", memory)
    files = photos(6)
    first = load_source(files, "files")
    assert len(files.reads) == 24, "once for the headers, once for the pixels"
    second_result = load_source(files, "files")
    assert len(files.reads) == 24
    assert same(first, second_result)
    assert second_result.receipt is not None
    assert second_result.receipt.cached == 12
    assert isinstance(second_result.train.pixels, np.ndarray if memory else StoredImages)


def test_with_a_size_every_file_is_read_once() -> None:
    files = photos(6)
    load_source(files, "files", size=32)
    assert sorted(files.reads) == sorted(item.name for item in files.items)


@pytest.mark.parametrize("memory", [2**28, 0])
def test_only_what_changed_is_read(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", memory)
    files = photos(6)
    load_source(files, "files", size=32)
    files.reads.clear()
    files.content["cat/1.png"] = encoded(photo(77))
    files.add("dog/new.png", encoded(photo(78)))
    changed = load_source(files, "files", size=32)
    assert sorted(files.reads) == ["cat/1.png", "dog/new.png"]
    assert same(changed, load_source(files, "elsewhere", size=32, cache_size=0))


def test_images_are_known_by_their_content(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_source(photos(6), "files", size=32)
    decoded: list[str] = []
    monkeypatch.setattr(decode_settings.DecodeSettings, "read", lambda self, data, name: decoded.append(name))
    moved = photos(6)
    moved.items.reverse()
    data = load_source(moved, "another place", size=32)
    assert decoded == []
    assert data.fingerprint == first.fingerprint
    assert set(data.test.names or ()) == set(first.test.names or ())


def test_a_damaged_cache_is_not_trusted(cache: Path) -> None:
    files = photos(6)
    first = load_source(files, "files", size=32)
    for path in cache.glob("*/*"):
        content = path.read_bytes()
        for damaged in (b"", content[:50], content[:-1], content[: len(content) // 2], b"x" * len(content)):
            path.write_bytes(damaged)
            assert same(load_source(files, "files", size=32), first), path
            path.write_bytes(content)


def test_the_oldest_data_goes_first(cache: Path) -> None:
    need = 12 * (3 * 32 * 32 + 16)
    for number, name in enumerate(("a", "b", "c")):
        load_source(photos(6), name, size=32)
        for path in cache.glob("*/*"):
            os.utime(path, (number + 1, number + 1)) if path.stat().st_mtime > 1000 else None
    assert len(list(cache.glob("*/*.pixels"))) == 3
    total = sum(path.stat().st_size for path in cache.glob("*/*"))
    others = photos(6, ("owl", "pig"))
    load_source(others, "d", size=32, cache_size=total + need // 2)
    kept = sorted(path.stat().st_mtime for path in cache.glob("*/*.pixels"))
    assert kept[:2] == [2, 3]
    assert len(kept) == 3


def test_without_a_cache_nothing_is_written(cache: Path) -> None:
    files = photos(6)
    first = load_source(files, "files", cache_size=0)
    assert not cache.exists()
    assert same(first, load_source(files, "files"))


def test_small_data_is_not_cached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MIN_CACHED_BYTES", 2**20)
    load_source(photos(6), "files")
    assert not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("memory", [2**28, 0])
@pytest.mark.parametrize("after", [0, 5])
def test_a_full_disk_only_costs_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, memory: int, after: int
) -> None:
    files = photos(6)
    expected = load_source(files, "files", size=32, cache_size=0)
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", memory)
    put, calls = StoreWriter.put, []

    def refuse(self: StoreWriter, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        calls.append(row)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(self, row, digest, pixels)

    monkeypatch.setattr(StoreWriter, "put", refuse)
    with pytest.warns(
        RuntimeWarning, match="decoded images are not cached for the next run: No space left on device; set"
    ):
        data = load_source(files, "files", size=32)
    assert same(data, expected)
    assert isinstance(data.train.pixels, np.ndarray if memory else OnDemandImages)
    assert not list(cache.glob("*/*.pixels")) + list(cache.glob("*/.new-*"))


def test_more_than_the_cache_may_hold_is_decoded_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", 0)
    files = photos(6)
    with pytest.warns(RuntimeWarning, match=r"not cached for the next run: they take 3.7e-05 GB; increase the cache"):
        data = load_source(files, "files", size=32, cache_size=1000)
    assert isinstance(data.train.pixels, OnDemandImages)
    assert same(data, load_source(files, "files", size=32))


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="not cached for the next run: Not a directory; set OPSIN_CACHE"):
        assert len(load_source(photos(6), "files").all_images()) == 12


def test_two_processes_at_once(tmp_path: Path) -> None:
    for number in range(60):
        write_image(tmp_path / "data" / f"c{number % 2}" / f"{number}.jpg", np.asarray(photo(number, 200)))
    program = (
        "import sys; from opsin.data import load; from opsin.data.ingest import decode\n"
        "decode.WORTH_KEEPING = decode.IN_MEMORY = 0\n"
        "print(*[int(load(sys.argv[1], size=90).all_images().pixels[:].sum(dtype='int64')) for _ in range(3)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "data")]
    runs = [subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    results = {number for run in runs for number in run.communicate()[0].split()}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(results) == 1


def test_an_interruption_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", 0)

    def interrupt(count: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_source(photos(6), "files", size=32, on_progress=interrupt)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_progress_is_reported() -> None:
    told: list[tuple[int, int]] = []
    load_source(photos(6), "files", size=32, on_progress=lambda count, total: told.append((count, total)))
    assert told[-1] == (12, 12)


def test_a_bug_is_not_taken_for_a_bad_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Files, index: int) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Files, "read", broken)
    with pytest.raises(ZeroDivisionError):
        load_source(photos(6), "files")


def test_mean_and_deviation_of_a_view_are_those_of_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos(6)
    array = load_source(files, "files", size=32).train
    monkeypatch.setattr(decode, "MAX_MEMORY_BYTES", 0)
    view = load_source(files, "files", size=32).train
    assert isinstance(view.pixels, StoredImages)
    assert Preprocessing.of(view) == Preprocessing.of(array)
    monkeypatch.setattr("opsin.data.preprocessing.MAX_SAMPLE_IMAGES", 4)
    assert Preprocessing.of(view).mean == pytest.approx(Preprocessing.of(array).mean, abs=0.2)
