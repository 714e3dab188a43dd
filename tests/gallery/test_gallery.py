"""Galleries: entries, the file, exact search, and the commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.base.errors import DataError, UsageError
from opsin.data import Preprocessing
from opsin.gallery import Gallery, Search
from opsin.gallery.gallery import model_digest
from opsin.model import Model
from opsin.tasks.classification import Classification
from opsin.tasks.identity import Identity
from opsin.tasks.identity.calibration import SameThreshold
from tests.apps.cli.conftest import cli as cli
from tests.support import generator
from tests.tasks.identity.blobs import write_people


def made(count: int, dimensions: int = 16) -> Gallery:
    vectors = generator("gallery").standard_normal((count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Gallery(tuple(f"name {number // 2}" for number in range(count)), vectors, "0" * 32, "/nowhere/model.opsin")


def untrained(task: Any, seed: int = 0) -> Model:
    graph = nn.trace(zoo.find("lenet5")(task.outputs, task=task.name), (1, 32, 32))
    state = nn.initial_state(graph, seed)
    return Model("lenet5", graph, state, Preprocessing(1, 32, 32, (0.5,), (0.25,)), task)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three identities, two models that compare images, and one that does not."""
    path = tmp_path_factory.mktemp("gallery")
    write_people(path / "people", 3, 2)
    for name, seed in (("model", 0), ("other", 1)):
        model = untrained(Identity(), seed)
        model.calibration = SameThreshold(0.99, 10.0, -9.9, 5, 5, 0.0, 0.0)
        model.save(path / f"{name}.opsin")
    untrained(Classification(("a", "b"))).save(path / "classes.opsin")
    return path


@pytest.mark.parametrize(("count", "dimensions"), [(1, 1), (7, 5), (1000, 128)])
def test_search_is_exact(count: int, dimensions: int) -> None:
    gallery = made(count, dimensions)
    search = Search(gallery)
    for row in (0, count - 1):
        similarities = search.similarities(gallery.vectors[row])
        np.testing.assert_allclose(similarities, gallery.vectors @ gallery.vectors[row], atol=1e-6)
    match = search.nearest(gallery.vectors[-1], 0.5)
    assert (match.name, match.known) == (gallery.names[-1] if dimensions > 1 else match.name, True)
    assert str(search.nearest(-gallery.vectors[0], 1.1)) == "no one I know"


def test_a_file_gives_the_same_gallery(tmp_path: Path) -> None:
    path, gallery = tmp_path / "team.gallery", made(5)
    gallery.write(path)
    read = Gallery.read(path)
    assert (read.names, read.model_digest, read.model_path) == (gallery.names, "0" * 32, "/nowhere/model.opsin")
    np.testing.assert_array_equal(read.vectors, gallery.vectors)
    assert path.stat().st_mode & 0o077 == 0


def test_removal_leaves_nothing(tmp_path: Path) -> None:
    path, gallery = tmp_path / "team.gallery", made(5)
    gallery.write(path)
    gallery.removed("name 1").write(path)
    content = path.read_bytes()
    assert b"name 1" not in content and gallery.vectors[2].tobytes() not in content
    assert gallery.vectors[4].tobytes() in content
    gallery.removed("name 1").removed("name 0").removed("name 2").write(path)
    assert Gallery.read(path).counts() == {}
    with pytest.raises(UsageError, match="the gallery is empty"):
        Search(Gallery.read(path))
    with pytest.raises(UsageError, match="has no 'name 9'"):
        gallery.removed("name 9")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_odd_names(name: str) -> None:
    with pytest.raises(UsageError, match="a name has 1 to 200 printable characters"):
        made(1).added(name, made(1).vectors)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "team.gallery"
    with pytest.raises(DataError, match="no such gallery"):
        Gallery.read(path)
    made(5).write(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="checksum is wrong"):
        Gallery.read(path)
    for other in (b"", b"hello", bytes(content[:40])):
        path.write_bytes(other)
        with pytest.raises(DataError, match="is no gallery"):
            Gallery.read(path)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from opsin.gallery import Gallery
small, large = (Gallery(("Ann",) * n, np.ones((n, 16), np.float32), "", "") for n in (2, 20_000))
print("ready", flush=True)
while True:
    small.write(Path(sys.argv[1]))
    large.write(Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "team.gallery"
    made(2).write(path)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(Gallery.read(path).names) in (2, 20_000)


def test_the_commands(folder: Path, tmp_path: Path, cli: Any) -> None:
    gallery, people = tmp_path / "team.gallery", folder / "people"
    new = cli("gallery", "add", gallery, "Ann", people / "id00")
    assert new.code == 2 and "is a new gallery; name the model" in new.err
    added = cli("gallery", "add", gallery, "Ann", people / "id00", "--model", folder / "model.opsin")
    assert added.code == 0 and "Ann: 2 vectors added" in added.out and "no image is stored" in added.out
    assert cli("gallery", "add", gallery, "Bo", people / "id01/id01_0001.png").code == 0
    assert json.loads(cli("gallery", "list", gallery, "--json").out)["names"] == {"Ann": 2, "Bo": 1}
    assert "Ann" in cli("gallery", "list", gallery).out
    image = people / "id01/id01_0001.png"
    assert "Bo (similarity 1.000)" in cli("identify", gallery, image).out
    (found,) = json.loads(cli("identify", gallery, image, "--json").out)
    assert (found["name"], found["known"]) == ("Bo", True)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    mixed = cli("identify", gallery, image, broken)
    assert mixed.code == 1 and "Bo" in mixed.out and "broken.png" in mixed.err
    assert cli("gallery", "remove", gallery, "Bo").out.startswith("Bo: 1 vector removed")
    (stranger,) = json.loads(cli("identify", gallery, image, "--threshold", 1, "--json").out)
    assert (stranger["name"], stranger["known"], stranger["nearest"]) == (None, False, "Ann")
    assert "no one I know" in cli("identify", gallery, image, "--threshold", 1).out
    assert {path.name for path in tmp_path.iterdir()} == {"team.gallery", "broken.png"}


def test_the_model_is_found_by_its_digest(folder: Path, tmp_path: Path, cli: Any) -> None:
    model, gallery = tmp_path / "here" / "model.opsin", tmp_path / "team.gallery"
    model.parent.mkdir()
    model.write_bytes((folder / "model.opsin").read_bytes())
    image = folder / "people" / "id00" / "id00_0001.png"
    assert cli("gallery", "add", gallery, "Ann", image, "--model", model).code == 0
    other = cli("gallery", "add", gallery, "Bo", image, "--model", folder / "other.opsin")
    assert other.code == 2 and "vectors of two models cannot be compared" in other.err
    moved = model.rename(tmp_path / "model.opsin")  # in the gallery's folder
    assert Gallery.read(gallery).find_model(gallery) == moved
    assert "Ann" in cli("identify", gallery, image).out
    moved.unlink()
    lost = cli("identify", gallery, image)
    assert lost.code == 2 and "give it with --model" in lost.err and model_digest(folder / "model.opsin") in lost.err
    assert "Ann" in cli("identify", gallery, image, "--model", folder / "model.opsin").out


def test_other_models_are_refused(folder: Path, tmp_path: Path, cli: Any) -> None:
    image = folder / "people" / "id00" / "id00_0001.png"
    result = cli("gallery", "add", tmp_path / "a.gallery", "Ann", image, "--model", folder / "classes.opsin")
    assert result.code == 2 and "trained with --task identity" in result.err
    assert not (tmp_path / "a.gallery").exists()
