"""Reading images as `opsin train` does, with a line that tells how far it is."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.apps.cli.output import PassingLine
from opsin.apps.cli.units import parse_bytes
from opsin.data import Dataset, load
from opsin.data.decode import check_range
from opsin.data.sources import open_source
from opsin.planning import networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice

CACHE_SIZE = "5GB"
"""What decoded images may take on disk, where nobody says."""


def read(source: str, outline: NetworkChoice, cache_size: str, pixel_range: Sequence[float] | None = None) -> Dataset:
    """The images of `source`, of the size and kind that `outline` says."""
    like = outline.preprocessing
    size, room = None if like else outline.size, parse_bytes(cache_size)
    with PassingLine() as line:

        def tell(done: int, total: int) -> None:
            line.show(f"{done:,} of {total:,} images read")

        return load(source, like, size=size, cache_size=room, on_progress=tell, pixel_range=pixel_range)


def read_to_see(
    source: str, size: int | None, cache_size: str = CACHE_SIZE, pixel_range: Sequence[float] | None = None
) -> Dataset:
    """The images as a training that has time enough would read them."""
    chosen = check_range(pixel_range)
    return read(source, networks.seen(DatasetSummary.of(open_source(source)), size), cache_size, chosen)
