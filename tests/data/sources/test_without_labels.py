"""Images of tables and arrays, whose labels learning without labels does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset, load
from opsin.tasks.self_supervised import Unlabelled
from tests.data.files import noise, write_mnist, write_stripes

PIXELS = noise(0, 40, 8, 8)


def loaded(source: str | Path, **options: Any) -> Dataset:
    data = load(source, task="self-supervised", **options)
    assert data.task.name == "self-supervised" and isinstance(data.train.targets, Unlabelled)
    assert data.receipt is not None and data.receipt.images == len(data.all_images())
    return data


def folders(data: Dataset) -> list[str]:
    targets = data.all_images().targets
    return sorted(targets.names[number] for number in targets.folders)


def test_classes_of_arrays_are_folders(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=PIXELS, y=np.arange(40) % 2)
    assert folders(loaded(tmp_path / "a.npz")) == ["0"] * 20 + ["1"] * 20
    data = loaded("digits", size=16)
    assert len(data.train.targets.names) == 10 and data.shape == (1, 16, 16) and data.predefined_split
    assert "6,000 images of features without labels" in str(data.receipt and data.receipt.text())


def test_arrays_need_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS)
    np.savez(tmp_path / "b.npz", x_train=PIXELS, y_train=np.arange(40) % 2, x_test=PIXELS[:8, ::-1])
    with pytest.raises(DataError, match="is an array without labels"):
        load(tmp_path / "a.npy")
    for name in ("a.npy", "b.npz"):
        assert set(folders(loaded(tmp_path / name))) == {""}
    receipt = loaded(tmp_path / "b.npz").receipt
    assert receipt and "'y_train' is not used, because other images have no labels." in receipt.notes
    write_mnist(tmp_path / "mini", 40, 10)
    (tmp_path / "mini" / "t10k-labels-idx1-ubyte").unlink()
    data = loaded(tmp_path / "mini")
    assert len(data.all_images()) == 50 and set(folders(data)) == {""}


def test_a_table_lists_the_images_that_are_used(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes", 20)
    paths = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.glob("stripes/*/*.png"))]
    (tmp_path / "some.csv").write_text("path\n" + "\n".join(paths[:35]))
    assert folders(loaded(tmp_path / "some.csv")) == [""] * 35
    rows = [f"{path},{'' if number < 3 else 'a'}" for number, path in enumerate(paths)]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows))
    assert folders(loaded(tmp_path / "labels.csv")) == [""] * 3 + ["a"] * 37
    with pytest.raises(DataError, match="learning without labels needs no column of a table; leave --target out"):
        loaded(tmp_path / "labels.csv", target="label")


def test_few_images_and_other_tasks_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS[:31])
    with pytest.raises(DataError, match="holds 31 images that can be read; learning without labels needs at least 32"):
        loaded(tmp_path / "a.npy")
    with pytest.raises(
        DataError, match=r"digits holds classes .* one of the forms in docs/detection.md, or leave --ta"
    ):
        load("digits", task="detection")
