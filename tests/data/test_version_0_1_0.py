"""What Opsin 0.1.0 wrote is still read: the index of image files, decoded images, receipts, and keyword arguments."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.base.legacy import with_old_keys
from opsin.data import Preprocessing, load
from opsin.data.ingest.decode_settings import DecodeSettings, short_digest
from opsin.data.ingest.file_index import index_path
from opsin.data.items import FileProblem, Item
from opsin.data.load import load_source
from opsin.data.store import store_folder
from tests.data.files import write_stripes

FILES = Path(__file__).parent / "version_0_1_0"


class UnreadableSource:
    """The source that the files were made from, of which no byte can be read any more."""

    name = "kept"
    problems = ()
    items = tuple(
        Item(name, name.split("/")[0], "")
        for name in (
            *(f"{label}/{number}.png" for label in ("cat", "dog") for number in range(6)),
            "cat/6.png", "dog/deep.png", "dog/short.png",
        )
    )  # fmt: skip

    def read(self, index: int) -> bytes:
        raise AssertionError(f"{self.items[index].name} is read")

    def stamp(self, index: int) -> str:
        return f"stamp-{index}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    name = short_digest("kept")
    copies = {
        "file_index.npz": index_path(name),
        "decoded.pixels": store_folder() / DecodeSettings((3, 8, 8)).key / f"{name}.pixels",
    }
    for file, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((FILES / file).read_bytes())


@pytest.mark.usefixtures("cache")
def test_caches_are_still_used() -> None:
    data = load_source(UnreadableSource(), "kept", size=8)  # type: ignore[arg-type]
    assert data.fingerprint == "2361f6009c27fefdf96860a3e977074d"
    assert data.validation is not None
    digests = [
        sha256(np.ascontiguousarray(images.pixels[:]).tobytes()).hexdigest()[:16]
        for images in (data.train, data.validation, data.require_test())
    ]
    assert digests == ["aae91a26366c5baa", "38ff9c1c0ce2369b", "44cd8bd0e8ed8286"]
    assert data.receipt is not None
    assert data.receipt.problems == (FileProblem("dog/short.png", "cut short", "damaged"),)
    assert (data.receipt.cached, data.receipt.high_depth, data.pixel_range) == (14, {"uint16": 1}, (0.0, 4095.0))


@pytest.mark.usefixtures("cache")
def test_receipts_keep_their_old_keys() -> None:
    data = load_source(UnreadableSource(), "kept", size=8)  # type: ignore[arg-type]
    assert data.receipt is not None
    new = json.loads(json.dumps(data.receipt.to_data()))
    old = json.loads((FILES / "receipt.json").read_text())
    for key in (
        "seconds",
        "cached",
        "division",
        "pictures_per_second",
        "pictures",
    ):  # text, times; the command adds one
        del old[key]
    for key, value in old.items():
        assert _without_splits(new[key]) == value, key
    assert (new["division"], new["pictures_per_second"]) == (new["split_note"], new["images_per_second"])
    assert with_old_keys(new)["pictures"] == 14


def _without_splits(value: object) -> object:
    """JSON data without the key that 0.1.0 did not have."""
    if isinstance(value, dict):
        return {key: _without_splits(item) for key, item in value.items() if key != "split"}
    return [_without_splits(item) for item in value] if isinstance(value, list) else value


def test_like_is_preprocessing(tmp_path: Path) -> None:
    preprocessing = Preprocessing(1, 8, 8, (0.5,), (0.5,))
    folder = write_stripes(tmp_path / "stripes")
    with pytest.warns(DeprecationWarning, match="^load: like is now preprocessing; the old name goes with the next re"):
        data = load(folder, like=preprocessing)
    assert data.shape == (1, 8, 8)
    assert np.array_equal(data.train.pixels, load(folder, preprocessing).train.pixels)
    assert np.array_equal(data.train.pixels, load(folder, preprocessing=preprocessing).train.pixels)
    with pytest.raises(UsageError, match=r"^load: like is the former name of preprocessing; give only preprocessing$"):
        load(folder, preprocessing, like=preprocessing)
