"""Answers for images, computed in batches that grow with the load and never wait for one.

One thread decodes and computes. It takes everything that has arrived since, so that an image that arrives alone is
answered at once, and the images that arrive during a computation form the next batch. Others help to decode a batch,
as many as half the cores. Large images are decoded apart, so that others do not wait for them.
"""

from __future__ import annotations

import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from opsin.apps.answer_data import answer_data
from opsin.apps.serve.json_text import dumps
from opsin.apps.serve.limits import NO_MEMORY, Limits, Refusal, too_busy
from opsin.apps.serve.messages import PIPE_BYTES, READY, Answer, Answers, Channel, Job
from opsin.apps.serve.models import ServedModel
from opsin.base.errors import DataError, OpsinError
from opsin.data.decode.formats import declared_size, recognise
from opsin.data.decode.read import read_header
from opsin.model import Model
from opsin.model.inputs import Sized

LARGE_PIXELS = 2**22
"""Images with more pixels are decoded apart. Four megapixels take about 50 ms."""

LABELS = 5
"""Labels for each image, if the request does not say how many."""


@dataclass(eq=False)
class Work:
    """A job, and what has become of it. `results` has an answer or an error for each image."""

    job: Job
    model: Model
    top: int | None
    inputs: list[Sized] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)

    def answer(self) -> Answer:
        """Return the answer to the client."""
        job, results = self.job, self.results
        if len(results) == 1 and isinstance(results[0], DataError):
            return Answer(job.id, 422, str(results[0]).encode())
        data = [answer_data(name, result) for (name, _), result in zip(job.images, results, strict=True)]
        return Answer(job.id, 200, dumps({"model": job.model, "task": self.model.task.name, "results": data}))

    def refused(self, error: Exception) -> Answer:
        """Return the answer if there is none because of `error`."""
        if isinstance(error, Refusal):
            return Answer(self.job.id, error.status, error.text.encode())
        text = NO_MEMORY if isinstance(error, MemoryError) else str(error)
        if not isinstance(error, OpsinError | MemoryError):
            text = f"the server has a fault: {type(error).__name__}; its log says more"
            traceback.print_exception(error)
        return Answer(self.job.id, 500, text.encode())


class Batcher:
    """Computes the answers of all models, one batch at a time."""

    def __init__(
        self, models: Mapping[str, ServedModel], channel: Channel, limits: Limits, cores: int,
        ready: Callable[[], None],
    ) -> None:  # fmt: skip
        """`ready` is called when the process at the other end accepts connections."""
        self.models, self.limits, self.ready = models, limits, ready
        self._channel = channel
        self._waiting: deque[Work] = deque()
        self._large = ThreadPoolExecutor(1, "large images")
        self._helpers = cores // 2
        self._decoders = ThreadPoolExecutor(max(1, self._helpers), "decode")

    def run(self) -> None:
        """Answer jobs until the channel ends."""
        try:
            while True:
                self._receive(wait=not self._waiting)
                if batch := self._next_batch():
                    self._compute(batch)
        except EOFError:
            pass
        finally:
            for pool in (self._large, self._decoders):
                pool.shutdown(cancel_futures=True)

    def _receive(self, wait: bool) -> None:
        """Queue the jobs that have arrived."""
        for message in self._channel.receive(wait):
            if message == READY:
                self.ready()
                continue
            job = Job(*message)
            model = self.models[job.model].model
            top = LABELS if job.top is None and hasattr(model.task, "probabilities") else job.top
            self._waiting.append(Work(job, model, top))

    def _next_batch(self) -> list[Work]:
        """Take the oldest job and those that can be computed with it, up to a full batch; none if no job is waiting."""
        batch, count, others = list[Work](), 0, list[Work]()
        for _ in range(len(self._waiting)):
            work = self._waiting.popleft()
            fits = not batch or (work.model is batch[0].model and work.top == batch[0].top)
            if fits and (not batch or count + len(work.job.images) <= work.model.largest_batch):
                batch.append(work)
                count += len(work.job.images)
            else:
                others.append(work)
                if fits:
                    break
        self._waiting.extendleft(reversed(others))
        return batch

    def _compute(self, batch: Sequence[Work]) -> None:
        """Decode and answer the jobs of a batch."""
        rest, decoded = deque(batch), list[Work]()
        helpers = min(self._helpers, len(batch) - 1)
        others = [self._decoders.submit(self._decode_some, rest, decoded) for _ in range(helpers)]
        while self._decode_some(rest, decoded, PIPE_BYTES // 2):
            self._receive(wait=False)  # before the pipe is full
        for each in others:
            each.result()
        if decoded:
            self._answer(decoded)

    def _decode_some(self, rest: deque[Work], decoded: list[Work], size: float = math.inf) -> bool:
        """Move jobs from `rest` to `decoded`, as other threads do, until there are none; return False then.

        Return True earlier, after about `size` bytes.
        """
        while size > 0:
            try:
                work = rest.popleft()
            except IndexError:
                return False
            if self._decode_here(work):
                decoded.append(work)
            size -= sum(len(content) for _, content in work.job.images)
        return True

    def _decode_here(self, work: Work) -> bool:
        """Decode the images of a job; return False if it is answered elsewhere, because they are large or refused."""
        sizes = [self._size(name, content) for name, content in work.job.images]
        if any(not isinstance(size, DataError) and size > LARGE_PIXELS for size in sizes):
            self._large.submit(self._answer_apart, work, sizes)
            return False
        return self._decode(work, sizes)

    def _answer_apart(self, work: Work, sizes: Sequence[int | DataError]) -> None:
        if self._decode(work, sizes):
            self._answer([work])

    def _decode(self, work: Work, sizes: Sequence[int | DataError]) -> bool:
        """Set the inputs of a job, and errors as results for images that cannot be read. Return False if refused."""
        try:
            for (name, content), size in zip(work.job.images, sizes, strict=True):
                if time.monotonic() > work.job.deadline:
                    raise too_busy("there was no time to compute an answer")
                work.results.append(_read(work, name, content) if isinstance(size, int) else size)
        except Exception as error:
            self._channel.send(Answers(work.job.model, 0, [work.refused(error)]))
            return False
        return True

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

    def _answer(self, batch: Sequence[Work]) -> None:
        """Compute and send the answers of jobs of one model."""
        inputs = [each for work in batch for each in work.inputs]
        try:
            answers = iter(_answers(batch[0].model, inputs, batch[0].top))
            for work in batch:
                work.results = [next(answers) if result is None else result for result in work.results]
            replies = [work.answer() for work in batch]
        except Exception as error:
            replies = [work.refused(error) for work in batch]
        self._channel.send(Answers(batch[0].job.model, len(inputs), replies))


def _answers(model: Model, inputs: Sequence[Sized], top: int | None) -> list[Any]:
    """Return the answers of a model. Less than half a batch is computed one by one, because batches are padded."""
    largest = model.largest_batch
    rest = len(inputs) % largest
    full = len(inputs) - rest if rest <= largest // 2 else len(inputs)
    singles = [answer for each in inputs[full:] for answer in model.answers([each], top)]
    return [*model.answers(inputs[:full], top), *singles]


def _read(work: Work, name: str, content: bytes) -> DataError | None:
    """Add the pixels of an image to the inputs of a job, or return why it cannot be read."""
    try:
        work.inputs.append(work.model.reader.read_with_size(content, name))
    except DataError as error:
        return error
    return None
