"""Which parts of a network are framed together, and which of them are alike and so are drawn once.

A block is what one layer of layers holds around branches that meet again: a residual block, an inception module. What
lies beside blocks and is made alike is a block, too. Blocks that follow each other and are equal, or whose channels
grow evenly, are folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeAlias

from opsin.seeing.flow import Item, Parallel, Series, Tangle, members
from opsin.seeing.units import Unit

FEWEST_SAVED = {True: 3, False: 5}
"""Folding saves at least so many units, where branches are among them and where not."""
LONGEST_PERIOD = 8


@dataclass(frozen=True)
class Block:
    """Consecutive items of the network's series, and those after them that are alike: `copies`, the first included.

    `path` is that of the layer that holds them; empty where there is none of their own.
    """

    paths: tuple[str, ...]
    copies: tuple[Series, ...]

    @property
    def items(self) -> Series:
        return self.copies[0]

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Those of all copies."""
        return tuple(unit for copy in self.copies for unit in members(copy))


Part: TypeAlias = "Unit | Block"
"""What a row of the picture is made of."""
