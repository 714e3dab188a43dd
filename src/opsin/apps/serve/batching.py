"""Answers for images, computed in batches that grow with the load and never wait for one.

Threads decode images. The first that finds no computation in progress computes everything that is ready, and again
until nothing is left; the others go on decoding. An image that arrives alone is therefore answered by the thread that
decoded it, and under load the images that become ready during a computation form the next batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from opsin.apps.serve.limits import Limits, too_busy
from opsin.apps.serve.metrics import Metrics
from opsin.base.errors import DataError, OpsinError
from opsin.data.decode.formats import declared_size, recognise
from opsin.data.decode.read import read_header
from opsin.model import Model
from opsin.model.inputs import Sized


@dataclass(eq=False)
class Job:
    """The images of a request. `results` has an answer or an error for each, when the future is done."""

    name: str
    model: Model
    images: Sequence[tuple[str, bytes]]
    top: int | None
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    inputs: list[Sized] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)


class Batcher:
    """Computes the answers of all models, one batch at a time, because a batch uses every core."""

    def __init__(self, limits: Limits, metrics: Metrics, threads: int) -> None:
        self.limits, self.metrics = limits, metrics
        self.jobs = 0
        self._ready: deque[Job] = deque()
        self._computing = Lock()
        self._pool = ThreadPoolExecutor(threads + 1, "decode")

    async def answers(self, name: str, model: Model, images: Sequence[tuple[str, bytes]], top: int | None) -> list[Any]:
        """Return the answer, or a `DataError`, for each image. Raise `Refusal` (503) if too many requests wait."""
        if self.jobs >= self.limits.requests:
            raise too_busy("too many requests are waiting")
        loop = asyncio.get_running_loop()
        job = Job(name, model, images, top, loop.create_future(), loop)
        self.jobs += 1
        try:
            self._pool.submit(self._decode, job)
            async with asyncio.timeout(self.limits.seconds):
                await job.future
        except TimeoutError:
            raise too_busy("there was no time to compute an answer") from None
        finally:
            self.jobs -= 1
        return job.results

    def close(self) -> None:
        """End the threads when they have answered what is waiting."""
        self._pool.shutdown()

    def _decode(self, job: Job) -> None:
        """Decode the images of a job, and compute what is ready unless another thread does."""
        if job.future.cancelled():
            return
        try:
            for name, content in job.images:
                result = self._read(job.model, name, content)
                job.results.append(result if isinstance(result, DataError) else None)
                if not isinstance(result, DataError):
                    job.inputs.append(result)
            self._ready.append(job)
            while self._ready and self._computing.acquire(blocking=False):
                try:
                    self._compute()
                finally:
                    self._computing.release()
        except BaseException as error:
            _finish([job], error)
            raise

    def _read(self, model: Model, name: str, content: bytes) -> Sized | DataError:
        try:
            format = recognise(content)
            size = (declared_size(content, format) if format else None) or read_header(content, name)
            if size.width * size.height > self.limits.pixels:
                text = f"{name} has {size.width:,} × {size.height:,} pixels, more than {self.limits.pixels:,}"
                raise DataError(f"{text}; make it smaller")
            return model.preprocessing.read_with_size(content, name)
        except DataError as error:
            return error

    def _compute(self) -> None:
        """Compute the oldest job, together with others of the same model."""
        jobs = self._next_jobs()
        inputs = [each for job in jobs for each in job.inputs]
        try:
            if inputs:
                self._answer(jobs, inputs)
        except (OpsinError, MemoryError) as error:
            _finish(jobs, error)
            return
        except BaseException as error:
            _finish(jobs, error)
            raise
        _finish(jobs)

    def _next_jobs(self) -> list[Job]:
        """Take the oldest job and those that can be computed with it, up to a full batch."""
        jobs, count, others = list[Job](), 0, list[Job]()
        for _ in range(len(self._ready)):
            try:
                job = self._ready.popleft()
            except IndexError:
                break
            fits = not jobs or (job.model is jobs[0].model and job.top == jobs[0].top)
            if job.future.cancelled():
                continue
            if fits and (not jobs or count + len(job.inputs) <= job.model.largest_batch):
                jobs.append(job)
                count += len(job.inputs)
            else:
                others.append(job)
                if fits:
                    break
        self._ready.extendleft(reversed(others))
        return jobs

    def _answer(self, jobs: Sequence[Job], inputs: list[Sized]) -> None:
        answers = iter(jobs[0].model.answers(inputs, jobs[0].top))
        for job in jobs:
            job.results = [next(answers) if result is None else result for result in job.results]
        self.metrics.observe(self.metrics.batches, len(inputs), model=jobs[0].name)
        self.metrics.count(self.metrics.images, len(inputs), model=jobs[0].name)


def _finish(jobs: Sequence[Job], error: BaseException | None = None) -> None:
    """Wake the requests of jobs, in one call to their loop."""
    if jobs:
        jobs[0].loop.call_soon_threadsafe(_wake, jobs, error)


def _wake(jobs: Sequence[Job], error: BaseException | None) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(error)
