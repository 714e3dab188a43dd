"""Models whose files change while they are served, and forms of names."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

import opsin
from opsin.base.errors import OpsinError, UsageError
from opsin.model import Model
from tests.apps.serve.servers import image_file, run, serving
from tests.model.networks import reference, small_model

from opsin.apps.serve.models import ServedModel, open_models, reload  # isort: skip


def load(path: str) -> Model:
    return opsin.load(path, engine=reference)


def test_a_file_is_read_again_when_it_has_changed_and_requests_go_on(tmp_path: Path) -> None:
    path, other = tmp_path / "model.opsin", tmp_path / "other.opsin"
    small_model(1).save(path)
    small_model(2).save(other)

    async def test() -> None:
        async with serving([str(path)], opened=load) as (client, service):
            served = service.served["model"]
            before = (await client.post(image_file())).data["results"][0]["ranked"]
            assert not served.changed()
            shutil.copy(other, path)
            assert not served.changed() and served.changed(), "not before it has stayed the same"
            statuses, stop = set[int](), asyncio.Event()

            async def ask() -> None:
                while not stop.is_set():
                    statuses.add((await client.post(image_file())).status)

            clients = [asyncio.create_task(ask()) for _ in range(4)]
            while 'opsin_reloads_total{model="model",result="done"} 1' not in service.metrics.text():
                await asyncio.sleep(0.05)
            stop.set()
            await asyncio.gather(*clients)
            after = (await client.post(image_file())).data["results"][0]["ranked"]
            assert statuses == {200} and before != after
            assert after[0]["label"] == load(str(other)).predict(image_file())[0].label

    run(asyncio.wait_for(test(), 60))


def test_a_broken_file_leaves_the_earlier_model(tmp_path: Path) -> None:
    path = tmp_path / "model.opsin"
    small_model(1).save(path)

    served = ServedModel("model", str(path), load)
    model, content = served.model, path.read_bytes()
    path.write_bytes(content[:-100])
    served.changed()
    assert served.changed()
    with pytest.raises(OpsinError, match="damaged"):
        served.reload()
    assert served.model is model and not served.changed()
    path.write_bytes(content)
    lines = list[str]()
    assert reload(served, lines.append).result == "unchanged" and served.model is model
    assert lines == [f"model was not replaced: {path} has the content of the model that is served"]
    os.unlink(path)
    assert not served.changed() and not served.changed()


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        small_model().save(tmp_path / folder / "model.opsin")
    paths = [str(tmp_path / folder / "model.opsin") for folder in ("a", "b")]
    with pytest.raises(UsageError, match=r"would both be called 'model'; rename one of the files"):
        open_models(paths, load)


def test_models_of_films_are_refused() -> None:
    def film(name: str) -> Model:
        model = small_model()
        model.preprocessing = type(model.preprocessing)(1, 8, 9, (0.4,), (0.3,), frames=2)
        return model

    with pytest.raises(UsageError, match="compares frames of a film"):
        open_models(["film"], film)
