"""What a request may cost, and what happens beyond it."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.apps.serve.servers import Limits, TestedService, form, image_file, run, serving

from opsin.apps.serve.messages import READY  # isort: skip  (after the check for uvicorn)


def bomb(side: int) -> bytes:
    """A small PNG that declares `side` × `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@contextmanager
def busy(service: TestedService) -> Iterator[None]:
    """Keep the thread that computes busy."""
    begun, end = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        end.wait()

    service.batcher.ready = wait
    service.computer.send(READY)
    begun.wait()
    try:
        yield
    finally:
        end.set()


def test_large_bodies_are_refused_before_they_are_read() -> None:
    async def test() -> None:
        async with serving(limits=Limits(body_bytes=5000)) as (client, service):
            declared = await client.ask("POST", "/v1/predict", [b"x"], {"content-length": "2000000000"})
            chunked = await client.ask("POST", "/v1/predict", [bytes(1000)] * 100)
            for answer in (declared, chunked):
                assert answer.status == 413 and "larger than 0.005 MB; send a smaller image" in answer.error
                assert answer.headers["connection"] == "close"
            assert service.predictor.bodies.size == 0
            assert (await client.post(image_file())).status == 200

    run(test())


def test_large_images_are_refused_before_they_are_decoded() -> None:
    async def test() -> None:
        async with serving(limits=Limits(pixels=100)) as (client, _):
            answer = await client.post(image_file(size=(11, 10)))
            assert (answer.status, answer.error) == (
                422, "image has 11 × 10 pixels, more than 100; make it smaller",
            )  # fmt: skip
            assert (await client.post(image_file(size=(10, 10)))).status == 200
        async with serving() as (client, _):
            answer = await client.post(bomb(10_000))
            assert answer.status == 422 and "10,000 × 10,000 pixels" in answer.error

    run(test())


def test_a_form_has_a_limited_number_of_images() -> None:
    async def test() -> None:
        body, kind = form(*[(f"{number}.png", image_file(number)) for number in range(3)])
        async with serving(limits=Limits(images=2)) as (client, _):
            answer = await client.post(body, content_type=kind)
            assert (answer.status, answer.error) == (413, "the form has 3 images; send at most 2 at once")

    run(test())


def test_slow_bodies_end_after_a_time() -> None:
    async def test() -> None:
        async with serving(limits=Limits(seconds=0.1)) as (client, service):
            answer = await client.ask("POST", "/v1/predict", [b"x", 0.2, b"y", 5.0, b"z"])
            assert answer.status == 408 and "did not arrive within 0.1 seconds" in answer.error
            assert service.predictor.bodies.size == 0

    run(test())


def test_a_client_that_goes_away_leaves_nothing() -> None:
    async def test() -> None:
        async with serving() as (client, service):
            body = image_file()
            gone = await client.ask("POST", "/v1/predict", [body[:10], body[10:], 0.0][:1] + [0.0])
            assert gone.status == 0 and service.predictor.bodies.size == 0
            assert "status=" not in service.metrics.text()

    run(test())


def test_the_slowest_upload_gives_way_when_memory_is_short() -> None:
    async def test() -> None:
        image = image_file(size=(60, 50))
        limits = Limits(waiting_bytes=len(image) + 2000, seconds=5)
        async with serving(limits=limits) as (client, service):
            slow = asyncio.create_task(client.ask("POST", "/v1/predict", [bytes(1990), 3.0, b"x"]))
            newer = asyncio.create_task(client.ask("POST", "/v1/predict", [bytes(90), 3.0, b"x"]))
            await asyncio.sleep(0.05)
            assert service.predictor.bodies.size == 2080
            assert (await client.ask("POST", "/v1/predict", [image[:500], image[500:]])).status == 200
            answer = await slow
            assert answer.status == 503 and "took longest" in answer.error and answer.headers["retry-after"] == "1"
            assert not newer.done()
            newer.cancel()
            await asyncio.gather(newer, return_exceptions=True)
            assert service.predictor.bodies.size == 0
            too_large = await client.post(bytes(len(image) + 2001))
            assert too_large.status == 503 and "too many images in memory" in too_large.error

    run(test())


def test_requests_beyond_the_queue_are_refused_with_a_time() -> None:
    async def test() -> None:
        async with serving(limits=Limits(requests=1)) as (client, service):
            with busy(service):
                waiting = asyncio.create_task(client.post(image_file()))
                while not service.computer.jobs:
                    await asyncio.sleep(0.01)
                answer = await client.post(image_file())
                assert answer.status == 503 and "too many requests are waiting" in answer.error
            assert (await waiting).status == 200

    run(test())


def test_a_computation_that_takes_too_long_is_refused() -> None:
    async def test() -> None:
        async with serving(limits=Limits(seconds=0.2)) as (client, service):
            with busy(service):
                answer = await client.post(image_file())
            assert answer.status == 503 and "no time to compute" in answer.error
            assert (await client.post(image_file())).status == 200

    run(test())


@pytest.mark.parametrize("count", [1, 7, 30])
def test_requests_at_once_become_batches_with_their_own_answers(count: int) -> None:
    async def test() -> None:
        async with serving() as (client, service):
            single = [(await client.post(image_file(seed))).data["results"] for seed in range(5)]
            before = sum(service.metrics.batches.counts[(("model", "small"),)])
            with busy(service):
                tasks = [asyncio.create_task(client.post(image_file(number % 5))) for number in range(count)]
                while service.computer.jobs < count:
                    await asyncio.sleep(0.01)
            answers = [answer.data["results"] for answer in await asyncio.gather(*tasks)]
            for number, results in enumerate(answers):
                assert results[0]["label"] == single[number % 5][0]["label"]
                assert results[0]["probability"] == pytest.approx(single[number % 5][0]["probability"], rel=1e-5)
            assert sum(service.metrics.batches.counts[(("model", "small"),)]) == before + 1

    run(test())


@pytest.mark.parametrize("cores", [2, 8])
def test_large_images_do_not_hold_up_others(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr("opsin.apps.serve.batching.LARGE_PIXELS", 1000)
        async with serving(cores=cores) as (client, service):
            end = threading.Event()
            service.batcher._large.submit(end.wait)
            large = asyncio.create_task(client.post(image_file(size=(60, 50))))
            small = [asyncio.create_task(client.post(image_file(number))) for number in range(20)]
            assert {answer.status for answer in await asyncio.gather(*small)} == {200}
            assert not large.done()
            end.set()
            assert (await large).status == 200

    run(test())
