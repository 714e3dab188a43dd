"""Load images as `opsin train` does, and show the progress in a status line."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.apps.cli.output import StatusLine
from opsin.data import Dataset, load
from opsin.data.decode import check_range
from opsin.data.items import Source
from opsin.data.load import load_opened
from opsin.data.sources.detect import ANY_TASK, TaskRequest, open_source
from opsin.data.store import CACHE_SIZE
from opsin.inputs.registry import NOUNS
from opsin.model import Model
from opsin.model.record import GROUPED_BY
from opsin.planning import networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice
from opsin.tasks.registry import is_annotated


def task_request(task: str | None, target: str | None, inputs: str | None = None) -> TaskRequest:
    """Return the options --task, --target and --inputs as `open_source` takes them."""
    return TaskRequest(task, _columns(target), _columns(inputs))


def _columns(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def load_for(
    choice: NetworkChoice,
    opened: Source | Dataset,
    source: str,
    cache_size: int | None = None,
    pixel_range: Sequence[float] | None = None,
) -> Dataset:
    """Load what was opened at `source` in the size and layout that the network takes. `cache_size` is in bytes."""
    preprocessing, many = choice.preprocessing, NOUNS[choice.summary.kind][1]
    with StatusLine() as line:

        def show_progress(done: int, total: int) -> None:
            line.show(f"{done:,} of {total:,} {many} read")

        return load_opened(
            opened,
            source,
            preprocessing,
            size=None if preprocessing else choice.size,
            cache_size=CACHE_SIZE if cache_size is None else cache_size,
            on_progress=show_progress,
            pixel_range=pixel_range,
            input_options=choice.input_options,
        )


def load_for_model(model: Model, source: str, target: Sequence[str] = ()) -> Dataset:
    """Load data as `model` takes it; `target` are the columns of a table that hold the targets.

    A classifier takes whatever has its classes. Samples that were kept together in training are kept together again.
    """
    groups = model.record.get(GROUPED_BY)
    task = model.task.name if is_annotated(model.task) else None
    return load(
        source, preprocessing=model.preprocessing, task=task, target=target,
        input_options={"groups": groups} if groups else None,
    )  # fmt: skip


def load_as_trained(
    source: str,
    size: int | None,
    cache_size: int | None = None,
    pixel_range: Sequence[float] | None = None,
    request: TaskRequest = ANY_TASK,
) -> Dataset:
    """Load the images as a training without a tight time limit would."""
    checked = check_range(pixel_range)
    opened = open_source(source, checked, request)
    choice = networks.choose_without_timing(DatasetSummary.of(opened), size)
    return load_for(choice, opened, source, cache_size, checked)
