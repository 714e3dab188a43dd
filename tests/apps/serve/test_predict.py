"""Requests about images, and the other addresses of a server."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opsin.apps.answer_data import answer_data
from tests.apps.serve.servers import form, image_file, run, serving
from tests.export.zoo_models import NETWORKS, model
from tests.model.networks import small_model


def test_the_answer_is_that_of_predict() -> None:
    async def test() -> None:
        expected = answer_data("image", small_model(seed=5).predict(image_file(), top=5)[0])
        async with serving() as (client, _):
            for kind in (
                "image/png",
                "application/octet-stream",
                "application/x-www-form-urlencoded",
                "IMAGE/JPEG; q=1",
            ):
                answer = await client.post(image_file(), content_type=kind)
                assert (answer.status, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
                assert answer.data == {"model": "small", "task": "classification", "results": [expected]}
            assert (await client.post(image_file())).data["results"] == [expected]
            assert len((await client.post(image_file(), "/v1/predict?top=1")).data["results"][0]["ranked"]) == 1

    run(test())


def test_a_portable_model_answers_as_its_exports_do() -> None:
    async def test() -> None:
        portable = small_model()
        portable.portable = True
        content = image_file(size=(90, 70))
        expected = answer_data("image", portable.predict(content, top=5)[0])
        pixels = portable.reader.read(content, "image")
        assert not np.array_equal(pixels, portable.preprocessing.read(content, "image"))
        async with serving(opened=lambda _: portable) as (client, _):
            body, kind = form(("image", content), ("image", content))
            assert (await client.post(body, content_type=kind)).data["results"] == [expected] * 2

    run(test())


def test_a_form_has_several_images_and_an_error_for_each_that_cannot_be_read() -> None:
    async def test() -> None:
        body, kind = form(("a.png", image_file(1)), ("broken.png", image_file(2)[:40]), ("c.png", image_file(3)))
        async with serving() as (client, _):
            results = (await client.post(body, content_type=kind)).data["results"]
            assert [each["image"] for each in results] == ["a.png", "broken.png", "c.png"]
            assert results[0]["label"] and results[2]["label"] and "broken.png" in results[1]["error"]
            single = (await client.post(image_file(3))).data["results"][0]
            assert results[2]["ranked"] == single["ranked"]

    run(test())


@pytest.mark.parametrize("task", NETWORKS)
def test_every_task_is_served(task: str) -> None:
    async def test() -> None:
        served = model(task)
        content = image_file(size=(90, 70), format="JPEG")
        async with serving([task], opened=lambda _: served) as (client, _):
            answer = await client.post(content)
            expected = answer_data("image", served.predict(content, top=5 if task in RANKED else None)[0])
            assert answer.status == 200 and answer.data["task"] == task
            assert answer.data["results"] == [json.loads(json.dumps(expected))]

    run(test())


RANKED = ("classification", "multilabel")
"""Tasks whose answers rank labels."""


def test_several_models_have_their_own_addresses() -> None:
    async def test() -> None:
        async with serving(["small", "other one"]) as (client, service):
            answers = [await client.post(image_file(), f"/v1/models/{name}/predict") for name in service.models]
            assert [answer.data["model"] for answer in answers] == ["small", "other one"]
            assert answers[0].data["results"] != answers[1].data["results"]
            missing = await client.post(image_file(), "/v1/models/../../etc/passwd/predict")
            assert missing.status == 404
            missing = await client.post(image_file(), "/v1/models/none/predict")
            assert (missing.status, missing.error) == (404, "there is no model 'none'; there are small, other one")
            listed = (await client.ask("GET", "/v1/models")).data["models"]
            assert listed[0]["labels"] == ["cat", "dog", "eel"]
            assert listed[0]["input"] == {"channels": 1, "height": 8, "width": 9}

    run(test())


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "text"),
    [
        ("/v1/predict", b"", {}, 400, "the body is empty"),
        ("/v1/predict?top=0", b"x", {}, 400, "top is a number of labels from 1"),
        ("/v1/predict?top=%F0", b"x", {}, 400, "top is a number of labels from 1"),
        ("/v1/predict?topp=1", b"x", {}, 400, "there is no parameter 'topp'"),
        ("/v1/predict", b"{}", {"content-type": "application/json"}, 415, "is no image"),
        ("/v1/predict", b"hello", {}, 422, "image is not an image but text"),
        ("/v1/predict", image_file()[:50], {}, 422, "image is damaged|image ends"),
        ("/v1/predict", b"x", {"content-type": "multipart/form-data"}, 400, "names no boundary"),
        ("/v1/predict", b"x", {"content-type": "multipart/form-data; boundary=x"}, 400, "the form is broken"),
        ("/v1/predict", b"x", {"content-length": "-1"}, 413, "larger than 32 MB"),
        ("/v1/nothing", b"x", {}, 404, "there is no such address"),
    ],
)
def test_errors_say_what_to_do(path: str, body: bytes, headers: dict[str, str], status: int, text: str) -> None:
    async def test() -> None:
        async with serving() as (client, _):
            answer = await client.ask("POST", path, [body], headers)
            assert answer.status == status and any(each in answer.error for each in text.split("|")), answer.error

    run(test())


def test_a_wrong_method_is_refused() -> None:
    async def test() -> None:
        async with serving() as (client, _):
            answer = await client.ask("GET", "/v1/predict")
            assert (answer.status, answer.headers["allow"]) == (405, "POST")
            assert (await client.ask("DELETE", "/health")).status == 405

    run(test())


def test_a_token_is_needed_where_one_is_set() -> None:
    async def test() -> None:
        token = "0123456789abcdef"
        async with serving(token=token) as (client, _):
            for value in (
                "",
                "Bearer ",
                "Bearer 0123456789abcdeF",
                f"Basic {token}",
                f"Bearer {token}x",
                "Bearer \xe9",
            ):
                answer = await client.ask("POST", "/v1/predict", [image_file()], {"authorization": value})
                assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), value
            assert (await client.post(image_file(), authorization=f"bearer {token}")).status == 200
            open_paths = {"/": 200, "/health": 200, "/openapi.json": 200, "/metrics": 401, "/v1/models": 401}
            for path, status in open_paths.items():
                assert (await client.ask("GET", path)).status == status, path

    run(test())


def test_metrics_count_requests_images_and_batches() -> None:
    async def test() -> None:
        async with serving() as (client, _):
            await client.post(image_file())
            await client.post(b"hello")
            await client.post(image_file(), "/v1/models/unknown/predict")
            text = (await client.ask("GET", "/metrics")).body.decode()
            for line in (
                'opsin_requests_total{path="/v1/predict",status="200"} 1',
                'opsin_requests_total{path="/v1/predict",status="422"} 1',
                'opsin_requests_total{path="/v1/models/{model}/predict",status="404"} 1',
                'opsin_images_total{model="small"} 1',
                'opsin_batch_images_bucket{model="small",le="1"} 1',
                'opsin_request_seconds_count{path="/v1/predict"} 2',
                "opsin_body_bytes 0",
                "opsin_requests_waiting 0",
            ):
                assert f"\n{line}\n" in text, line
            assert "unknown" not in text

    run(test())


def test_the_description_covers_every_address_and_answer() -> None:
    async def test() -> None:
        async with serving() as (client, service):
            data = (await client.ask("GET", "/openapi.json")).data
            paths = {route.path for route in service.application().routes} - {"/", "/openapi.json"}
            assert data["openapi"] == "3.1.0" and set(data["paths"]) == paths
            schemas = data["components"]["schemas"]
            answer = (await client.post(image_file())).data
            assert answer.keys() == schemas["Answers"]["properties"].keys()
            items = schemas["Answers"]["properties"]["results"]["items"]
            assert answer["results"][0].keys() <= items["properties"].keys()

    run(test())


def test_the_page_asks_nobody_else() -> None:
    async def test() -> None:
        async with serving() as (client, _):
            page = await client.ask("GET", "/")
            text, policy = page.body.decode(), page.headers["content-security-policy"]
            assert "http://" not in text and "https://" not in text and "/*s" not in text
            assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("'sha256-") == 2

    run(test())
