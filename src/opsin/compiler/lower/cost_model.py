"""From which sizes on each convolution algorithm is taken, and in which blocks: figures measured on one machine.

They are a row next to `kernels.ir.Target`: a target says what a processor has, a cost model what was fastest on one.
A change of a row changes plans, so that results may be rounded differently.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CostModel:
    """Thresholds and block sizes; channels and filters are counted for each group of a convolution."""

    machine: str
    """The machine on which the figures were measured."""

    gemm_min_filters: int
    """Filters from which on packing the pixels under a window costs little compared with multiplying them."""
    gemm_min_channels: int
    """Input channels from which on implicit GEMM is faster than the direct algorithm."""
    gemm_min_channels_strided: int
    """The same where the direct algorithm mostly multiplies by zeros, or pixels have to be packed only once."""
    wgrad_min_channels: int
    """The same for a weight gradient with several taps, each of which packs the same pixels."""
    gemm_pixels: int
    """Output pixels of a block: each packed weight read is used for so many."""
    prefetch_elements: int
    """Elements of an input from which on most of it comes from beyond the caches of one core, so it is prefetched."""
    wgrad_max_rows: int
    """Most input channels that a block of a weight gradient owns."""
    wgrad_panel: int
    """Most input channels that such a block packs together."""
    wgrad_max_sums: int
    """Elements that such a block sums up: a quarter of a second-level cache, which also holds the operands."""

    winograd_min_channels: int
    """Channels on either side from which on the transforms of the non-fused algorithm cost less than they save."""
    winograd_min_channels_fused: int
    """The same for the fused algorithm, whose transformed tiles stay in cache."""
    winograd_min_gain: float
    """Ratio of multiplications saved from which on Winograd's algorithm is taken."""
    winograd_tiles: int
    """Tiles of a block: transformed inputs and sums stay in the second-level cache for common channel counts, and each
    transformed weight read is used for so many tiles."""
    winograd_min_blocks: int
    """Blocks that the fused algorithm should have at least, so that threads share them evenly."""
    winograd_round: int
    """Elements of transformed tiles that one round of a weight gradient holds at once, so that they are read from a
    cache; twice the number of sums, to which each round adds, if that is more."""
    winograd_max_channel_pairs: int
    """Most pairs of channels whose sums at all 36 points fit into the L2 cache together with a block's tiles."""
    winograd_max_rows: int
    """Most input channels that a block of a weight gradient owns."""


EPYC_ZEN3 = CostModel(
    machine="AMD EPYC (Zen 3, AVX2), two cores of a virtual machine",
    gemm_min_filters=32,
    gemm_min_channels=24,
    gemm_min_channels_strided=16,
    wgrad_min_channels=48,
    gemm_pixels=48,
    prefetch_elements=2**20,
    wgrad_max_rows=256,
    wgrad_panel=48,
    wgrad_max_sums=32 * 1024,
    winograd_min_channels=16,
    winograd_min_channels_fused=8,
    winograd_min_gain=1.5,
    winograd_tiles=24,
    winograd_min_blocks=16,
    winograd_round=1024 * 1024,
    winograd_max_channel_pairs=32 * 32,
    winograd_max_rows=48,
)
"""The only measured row; all targets use it, so that AVX-512, SSE4 and NEON run with untimed figures."""
