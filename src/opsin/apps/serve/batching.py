"""Answers for images, computed in batches that grow with the load and never wait for one.

One thread decodes and computes. It takes everything that has arrived since, so that an image that arrives alone is
answered at once, and the images that arrive during a computation form the next batch. More threads would only take
turns: a computation uses every core, and Python runs one thread at a time. On computers with many cores others help to
decode a batch, and large images are decoded apart, so that others do not wait for them.
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
from opsin.base.errors import DataError
from opsin.data.decode.formats import declared_size, recognise
from opsin.data.decode.read import read_header
from opsin.model import Model
from opsin.model.inputs import Sized

MIN_CORES_FOR_HELPERS = 4
"""With at least so many cores, half of them help to decode."""

LARGE_PIXELS = 2**22
"""Images with more pixels are decoded apart. Four megapixels take about 50 ms."""


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
    is_decoded: bool = False


class Batcher:
    """Computes the answers of all models, one batch at a time."""

    def __init__(self, limits: Limits, metrics: Metrics, cores: int) -> None:
        self.limits, self.metrics = limits, metrics
        self.jobs = 0
        self._waiting: deque[Job] = deque()
        self._lock, self._is_running = Lock(), False
        self._worker, self._large = ThreadPoolExecutor(1, "compute"), ThreadPoolExecutor(1, "large images")
        self._helpers = ThreadPoolExecutor(cores // 2, "decode") if cores >= MIN_CORES_FOR_HELPERS else None

    async def answers(self, name: str, model: Model, images: Sequence[tuple[str, bytes]], top: int | None) -> list[Any]:
        """Return the answer, or a `DataError`, for each image. Raise `Refusal` (503) if too many requests wait."""
        if self.jobs >= self.limits.requests:
            raise too_busy("too many requests are waiting")
        loop = asyncio.get_running_loop()
        job = Job(name, model, images, top, loop.create_future(), loop)
        self.jobs += 1
        try:
            self._enqueue(job)
            async with asyncio.timeout(self.limits.seconds):
                await job.future
        except TimeoutError:
            raise too_busy("there was no time to compute an answer") from None
        finally:
            self.jobs -= 1
        return job.results

    def close(self) -> None:
        """End the threads when they have answered what is waiting."""
        for pool in (self._large, self._worker, self._helpers):
            if pool is not None:
                pool.shutdown()

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            self._waiting.append(job)
            is_running, self._is_running = self._is_running, True
        if not is_running:
            self._worker.submit(self._run_all)

    def _run_all(self) -> None:
        """Compute batches until no job is waiting."""
        while self._is_running:
            with self._lock:
                jobs = self._next_jobs()
                self._is_running = bool(jobs)
            self._run(jobs)

    def _run(self, jobs: Sequence[Job]) -> None:
        """Decode and compute jobs of one batch."""
        try:
            pool = self._helpers if len(jobs) > 1 else None
            is_here = list((pool.map if pool else map)(self._decode_here, jobs))
            jobs = [job for job, here in zip(jobs, is_here, strict=True) if here]
            inputs = [each for job in jobs for each in job.inputs]
            if inputs:
                self._answer(jobs, inputs)
        except BaseException as error:
            _finish(jobs, error)
        else:
            _finish(jobs)

    def _next_jobs(self) -> list[Job]:
        """Take the oldest job and those that can be computed with it, up to a full batch; none if no job is waiting."""
        jobs, count, others = list[Job](), 0, list[Job]()
        for _ in range(len(self._waiting)):
            job = self._waiting.popleft()
            if job.future.cancelled():
                continue
            fits = not jobs or (job.model is jobs[0].model and job.top == jobs[0].top)
            if fits and (not jobs or count + len(job.images) <= job.model.largest_batch):
                jobs.append(job)
                count += len(job.images)
            else:
                others.append(job)
                if fits:
                    break
        self._waiting.extendleft(reversed(others))
        return jobs

    def _decode_here(self, job: Job) -> bool:
        """Decode the images of a job; return False if another thread does because they are large."""
        if job.is_decoded:
            return True
        sizes = [self._size(name, content) for name, content in job.images]
        if any(not isinstance(size, DataError) and size > LARGE_PIXELS for size in sizes):
            self._large.submit(self._decode_apart, job, sizes)
            return False
        self._decode(job, sizes)
        return True

    def _decode_apart(self, job: Job, sizes: Sequence[int | DataError]) -> None:
        try:
            if not job.future.cancelled():
                self._decode(job, sizes)
                self._enqueue(job)
        except BaseException as error:
            _finish([job], error)
            raise

    def _decode(self, job: Job, sizes: Sequence[int | DataError]) -> None:
        """Set the inputs of a job, and errors as results for images that cannot be read."""
        for (name, content), size in zip(job.images, sizes, strict=True):
            try:
                if isinstance(size, DataError):
                    raise size
                job.inputs.append(job.model.reader.read_with_size(content, name))
                job.results.append(None)
            except DataError as error:
                job.results.append(error)
        job.is_decoded = True

    def _size(self, name: str, content: bytes) -> int | DataError:
        """Return the pixels that an image declares, or why it is refused."""
        try:
            format = recognise(content)
            size = (declared_size(content, format) if format else None) or read_header(content, name)
        except DataError as error:
            return error
        if size.width * size.height > self.limits.pixels:
            text = f"{name} has {size.width:,} × {size.height:,} pixels, more than {self.limits.pixels:,}"
            return DataError(f"{text}; make it smaller")
        return size.width * size.height

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
