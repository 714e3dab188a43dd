"""`load`: read a data set from any supported source, decode its images and split them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from opsin.base.errors import DataError, UsageError
from opsin.data.dataset import Dataset
from opsin.data.decode import PixelRange, Stretch, check_range
from opsin.data.ingest.annotated import annotated_dataset
from opsin.data.ingest.arrays import complete
from opsin.data.ingest.classes import ClassIngest
from opsin.data.ingest.decode_settings import DecodeSettings
from opsin.data.ingest.messages import value_text
from opsin.data.ingest.resize import resized
from opsin.data.ingest.rows import load_rows
from opsin.data.ingest.sample_groups import OPTION as GROUPS
from opsin.data.ingest.sample_groups import sample_groups
from opsin.data.ingest.samples import fitted_input, scan_samples, source_kind
from opsin.data.ingest.scan import scan
from opsin.data.items import Source
from opsin.data.parallel import Progress
from opsin.data.preprocessing import Preprocessing
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.data.sources.rows import Rows
from opsin.data.store import CACHE_SIZE
from opsin.inputs.registry import IMAGE, NOUNS, SEVERAL
from opsin.ir.arguments import instance
from opsin.ir.checked import checked


@checked
def load(
    source: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    pixel_range: Sequence[float] | None = None,
    task: str | None = None,
    target: str | Sequence[str] | None = None,
    like: Preprocessing | None = None,
    input_options: Mapping[str, Any] | None = None,
    inputs: str | Sequence[str] | None = None,
) -> Dataset:
    """Read the images of `source` with their labels or annotations, and split them for training, validation and test.

    `source` is "digits" (built in), a folder of class folders, an archive, a table, arrays, or anything else that
    `open_source` accepts. What the images are annotated for is detected: classes, boxes, masks, several labels or
    numbers; `task` names it ("classification", "detection", …), and `target` the columns of a table that hold it. If
    `inputs` names columns, each row of the table is one sample, of several images, texts, numbers, … together. The
    images get the size and the channels of `preprocessing`, which is that of a model, or
    become squares of `size` pixels. Without both, image files become grey or RGB, at most 64 × 64, depending on their
    content; arrays keep their size. Unusable files are left out. The `receipt` of the data set names them, and lists
    duplicates, leaks and other findings.

    If the data has no test split, a fifth of each class is held out; if it has no validation split, a tenth of the
    remaining images, at most 5,000. Which ones depends on `seed` and the contents of the files only; near-duplicates
    stay in the same split. A validation split that comes with the data is never used as test split.

    In images with more than eight bits per channel, the two values of `pixel_range` become black and white; the default
    is the range of `preprocessing`, or else one range inferred from the values of all images, which the data set
    reports as its `pixel_range`. Decoded images are cached on disk, in at most `cache_size` bytes for all data sets.
    `input_options` say how recordings, texts and signals are read, such as {"rate": 8000} (see `InputKind.fitted`).
    `on_progress` is called with the number of processed images and the total. `like` is the former name of
    `preprocessing`. Raise `DataError` for unusable data.
    """
    preprocessing = _renamed_like(preprocessing, like)
    if size is not None and size < 1:
        raise UsageError(f"the size must be at least 1 pixel, not {size}")
    if preprocessing is not None and getattr(preprocessing, "kind", IMAGE) == IMAGE:
        instance("preprocessing", preprocessing, Preprocessing, "the preprocessing of a model")
    begin = perf_counter()
    columns = _names(inputs) or tuple(getattr(preprocessing, "names", ()))
    request = TaskRequest(task, _names(target), columns)
    opened = open_source(source, _expected_range(pixel_range, preprocessing), request)
    return load_opened(
        opened, source, preprocessing, size=size, seed=seed, cache_size=cache_size, on_progress=on_progress,
        pixel_range=pixel_range, begin=begin, input_options=input_options,
    )  # fmt: skip


def load_opened(
    opened: Source | Dataset,
    source: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    pixel_range: Sequence[float] | None = None,
    begin: float | None = None,
    input_options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load what `open_source` opened at `source`, as `load` does; it may be loaded several times.

    Arrays must have been opened with the range of values that is expected here. Loading began at the time `begin`, by
    default now.
    """
    begin = perf_counter() if begin is None else begin
    expected_range = _expected_range(pixel_range, preprocessing)
    if isinstance(opened, Dataset):
        _check_kind(IMAGE, preprocessing, str(source))
        _warn_if_range_unused(pixel_range, opened)
        return _sized(complete(opened, seed, begin), preprocessing, size)
    key, path = os.path.realpath(source), str(source)
    data = load_source(
        opened, key, preprocessing, size, seed, cache_size, on_progress, path, expected_range, input_options
    )  # fmt: skip
    _warn_if_range_unused(pixel_range, data)
    if pixel_range is None and isinstance(preprocessing, Preprocessing) and preprocessing.pixel_range:
        _warn_if_clipped(data, preprocessing.pixel_range)
    return data


def _expected_range(pixel_range: Sequence[float] | None, preprocessing: Preprocessing | None) -> PixelRange | None:
    """Return the values that become black and white; None if they follow from the images."""
    return check_range(pixel_range) or getattr(preprocessing, "pixel_range", None)


def _names(target: str | Sequence[str] | None) -> tuple[str, ...]:
    if target is None:
        return ()
    return (target,) if isinstance(target, str) else tuple(target)


def _sized(data: Dataset, preprocessing: Preprocessing | None, size: int | None) -> Dataset:
    """Return arrays in the size that a network takes."""
    if preprocessing is not None:
        return resized(data, preprocessing.shape, preprocessing.crop)
    return data if size is None else resized(data, (data.shape[0], size, size), None)


def _warn_if_clipped(data: Dataset, pixel_range: PixelRange) -> None:
    if data.receipt and data.receipt.clipped:
        low, high = (value_text(value) for value in pixel_range)
        text = f"{data.receipt.clipped:,} images of {data.name} have values outside the model's pixel range"
        warnings.warn(f"{text}, {low} to {high}; these values are clipped", UserWarning, stacklevel=5)


def _renamed_like(preprocessing: Preprocessing | None, like: Preprocessing | None) -> Preprocessing | None:
    """Return the value of `preprocessing`, also if it was given under its name in Opsin 0.1.0."""
    if like is None:
        return preprocessing
    if preprocessing is not None:
        raise UsageError("load: like is the former name of preprocessing; give only preprocessing")
    text = "load: like is now preprocessing; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=4)
    return like


def _warn_if_range_unused(pixel_range: Sequence[float] | None, data: Dataset) -> None:
    if pixel_range is not None and data.pixel_range is None:
        text = f"the pixel range is not used: all images of {data.name} have 8 bits per channel, 0 to 255"
        warnings.warn(text, UserWarning, stacklevel=5)


def _check_kind(kind: str, preprocessing: Any, name: str) -> None:
    """Raise `DataError` if data of a kind of input is for a model that takes another kind."""
    taken = kind if preprocessing is None else preprocessing.kind
    if kind != taken:
        raise DataError(f"{name} holds {NOUNS[kind][1]}, and the model takes {NOUNS[taken][1]}")


def load_source(
    source: Source,
    key: str,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    path: str | None = None,
    pixel_range: PixelRange | None = None,
    input_options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load an open source as `load` does. `key` identifies it in the cache, `path` is its name in messages."""
    begin = perf_counter()
    given = None if preprocessing is None or isinstance(preprocessing, Preprocessing) else preprocessing
    if isinstance(source, Rows):
        if input_options:
            raise UsageError("rows of several inputs have no input options; leave them out")
        if preprocessing is not None and preprocessing.kind != SEVERAL:
            taken = NOUNS[preprocessing.kind][1]
            raise DataError(f"{path or source.name} holds rows of several inputs, the model takes {taken}")
        return load_rows(source, given, size, seed, on_progress, path or source.name)
    kind = source_kind(source)
    _check_kind(kind, preprocessing, path or source.name)
    if kind != IMAGE:
        groups, others = sample_groups(source.items, input_options or {}, required=given is None)
        sample_input = given or fitted_input(source, kind, others)
        result = scan_samples(source, sample_input, on_progress)
        name = path or source.name
        if isinstance(source, AnnotatedSource):
            data = annotated_dataset(source, result, seed, None, name, begin, sample_input, groups=groups)
        else:
            data = ClassIngest(source, result, seed, None, name, sample_input, groups).dataset(begin)
        return replace(data, grouped_by=str((input_options or {}).get(GROUPS, "")))
    framing = Stretch() if isinstance(source, AnnotatedSource) else None
    settings = DecodeSettings((3, size, size), framing) if size else framing
    if preprocessing is not None:
        crop = preprocessing.crop
        settings = DecodeSettings(preprocessing.shape, crop if isinstance(crop, Stretch) else framing or crop)
        pixel_range = pixel_range or preprocessing.pixel_range
    result = scan(source, key, settings, preprocessing is None, cache_size, on_progress, pixel_range)
    if isinstance(source, AnnotatedSource):
        return annotated_dataset(source, result, seed, preprocessing, path or source.name, begin)
    return ClassIngest(source, result, seed, preprocessing, path or source.name).dataset(begin)
