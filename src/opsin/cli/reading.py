"""Reading pictures as `opsin train` does, with a line that tells how far it is."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.cli.output import PassingLine
from opsin.cli.sizes import parse_bytes
from opsin.data import Dataset, load
from opsin.data.pictures import checked_range
from opsin.data.sources import open_source
from opsin.training import networks
from opsin.training.facts import Facts
from opsin.training.wishes import Outline

CACHE_SIZE = "5GB"
"""What decoded pictures may take on disk, where nobody says."""


def read(source: str, outline: Outline, cache_size: str, pixel_range: Sequence[float] | None = None) -> Dataset:
    """The pictures of `source`, of the size and kind that `outline` says."""
    like = outline.preprocessing
    size, room = None if like else outline.size, parse_bytes(cache_size)
    with PassingLine() as line:

        def tell(done: int, total: int) -> None:
            line.show(f"{done:,} of {total:,} pictures read")

        return load(source, like, size=size, cache_size=room, on_progress=tell, pixel_range=pixel_range)


def read_to_see(
    source: str, size: int | None, cache_size: str = CACHE_SIZE, pixel_range: Sequence[float] | None = None
) -> Dataset:
    """The pictures as a training that has time enough would read them."""
    chosen = checked_range(pixel_range)
    return read(source, networks.seen(Facts.of(open_source(source)), size), cache_size, chosen)
