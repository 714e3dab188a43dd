"""Thresholds and block sizes of the kernels, measured on one machine.

A `CostModel` is a row next to `kernels.ir.Target`: a target says what a processor has, a cost model what was fastest on
one. Changing a row changes plans, and results may be rounded differently.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CostModel:
    """Thresholds and block sizes; channels and filters are counted for each group of a convolution."""

    machine: str
    """The machine on which the figures were measured."""

    # -- whole plans -------------------------------------------------------------------------

    max_chunk: int
    """Maximum samples of a chunk: few enough that their activations stay in the second-level cache and that a batch
    makes chunks for many threads, and enough rows for a matrix product to reuse its weights."""
    min_chunks: int
    """Minimum chunks of a batch, as long as a chunk has a sample."""
    min_blocks: int
    """Minimum blocks of a call: threads share this many evenly."""
    min_long_blocks: int
    """The same for weight gradients and products with a large right operand: fewer threads would wait for one block."""
    max_partial_elements: int
    """Maximum elements of all partial weight gradients of one convolution."""
    sweep_min_elements: int
    """Minimum elements of an array for a separate sweep that sums it by channel, or for computing it twice."""
    sweep_min_channels: int
    """Minimum channels of an array for such a sum."""

    # -- direct convolution ------------------------------------------------------------------

    direct_max_padded_elements: int
    """Maximum elements of a block's padded rows: half a megabyte of L2 cache is common."""
    direct_max_weights: int
    """Maximum packed weights that a block may read for a few pixels: the L2 cache holds them."""
    direct_max_weights_packed: int
    """Maximum weights of a packed direct convolution: implicit GEMM reads more of them less often."""
    direct_max_weights_pairs: int
    """The same if it multiplies pairs of bfloat16."""
    direct_max_weights_strided: int
    """Maximum weights of the input gradient of a strided one."""
    direct_max_filters: int
    """Maximum filters of a packed direct 1×1 convolution; more of them fill the panels of implicit GEMM well."""
    direct_min_packed_channels: int
    """Minimum input channels to pack the weights. Even few filters then fill the lanes, with several terms of a sum."""
    direct_min_packed_pixels: int
    """Minimum output pixels to pack weights in every step."""
    direct_min_lane_gain: float
    """Minimum ratio of the lanes in use to exchange rows and columns of a weight gradient."""
    direct_gradient_block: int
    """Elements of the output's gradient that are used for all taps before the next ones; they stay in a cache."""
    direct_min_accumulators: int
    """Minimum independent sums: two multiply-add units with a latency of four cycles keep this many busy."""

    # -- implicit GEMM -----------------------------------------------------------------------

    gemm_min_filters: int
    """Minimum filters: packing the pixels under a window then costs little compared with multiplying them, and a
    multiple of this many fills the panels at every vector width."""
    gemm_min_channels: int
    """Minimum input channels: implicit GEMM is then faster than the direct algorithm."""
    gemm_min_pixels: int
    """Minimum output pixels of a layer whose rows fit into a register tile: blocks of fewer read all weights for few
    pixels, and the direct algorithm packs none of them."""
    gemm_min_channels_strided: int
    """The same if the direct algorithm mostly multiplies by zeros, or if pixels have to be packed only once."""
    wgrad_min_channels: int
    """The same for a weight gradient with several taps, each of which packs the same pixels."""
    gemm_pixels: int
    """Output pixels of a block: each packed weight that is read is used for this many."""
    gemm_pixels_tiles: int
    """The same for products in tile registers: a multiple of their blocks' rows."""
    gemm_min_prefetch_elements: int
    """Minimum elements of an input to prefetch it: most of it is then outside the caches of one core."""
    wgrad_max_rows: int
    """Maximum input channels of a weight gradient's block."""
    wgrad_max_panel: int
    """Maximum input channels that such a block packs together."""
    wgrad_max_sums: int
    """Maximum sums of such a block: a quarter of the L2 cache, which also holds the operands."""
    wgrad_depth: int
    """Pixels that are packed at a time: a panel of each operand stays in the L1 cache."""

    # -- Winograd ----------------------------------------------------------------------------

    winograd_min_channels: int
    """Minimum channels on either side: the transforms of the non-fused algorithm then cost less than they save."""
    winograd_min_channels_fused: int
    """The same for the fused algorithm, which keeps its transformed tiles in cache."""
    winograd_min_gain: float
    """Minimum ratio of the multiplications of direct summation to those of Winograd's algorithm."""
    winograd_min_gain_pairs: float
    """The same if direct summation multiplies pairs of bfloat16."""
    winograd_tiles: int
    """Tiles of a block: transformed inputs and sums stay in the L2 cache for common numbers of channels, and each
    transformed weight that is read is used for this many tiles."""
    winograd_min_blocks: int
    """Minimum blocks of the fused algorithm: threads share this many evenly."""
    winograd_max_prefetch_channels: int
    """Maximum channels of tiles to prefetch them. Larger ones are computed more slowly than memory delivers them."""
    winograd_round_elements: int
    """Elements of transformed tiles in one round of a weight gradient: they are read from a cache. Twice the number
    of sums, to which each round adds, if that is more."""
    winograd_max_channel_pairs: int
    """Maximum pairs of channels: their sums at all 36 points then fit into the L2 cache together with a block's
    tiles."""
    winograd_max_rows: int
    """Maximum input channels of a weight gradient's block."""
    winograd_wgrad_tiles: int
    """Tiles that a weight gradient transforms at a time."""
    winograd_wgrad_depth: int
    """Tiles that a register tile sums before it is written: the rows of both operands stay in the L1 cache."""

    # -- depthwise convolution ---------------------------------------------------------------

    depthwise_max_weights: int
    """Maximum weights of all channels that stay in the L1 cache together with the images."""
    depthwise_block_weights: int
    """Weights of a block of channels if there are more."""
    depthwise_block_multiple: int
    """Blocks are multiples of this many channels: images are then still read in runs of several cache lines."""

    # -- matrix products with a large right operand ------------------------------------------

    matmul_wide_min_elements: int
    """Minimum elements of the right operand: no cache of a core then holds it, so it should be read only once."""
    matmul_wide_max_rows: int
    """Maximum rows of the left operand: the right one is then large compared with it."""
    matmul_wide_max_unpacked_rows: int
    """Maximum rows of the left operand for which packing the right one does not pay off."""
    matmul_wide_max_stripe: int
    """Maximum columns of a block's stripe."""
    matmul_wide_max_block_rows: int
    """Maximum rows of a block's sums."""
    matmul_wide_depth: int
    """Rows of the right operand that are packed at a time."""
    matmul_wide_unroll: int
    """Rows of the right operand that are read at a time without packing."""

    # -- memory-bound kernels ----------------------------------------------------------------

    pointwise_block: int
    """Elements of a block of a pointwise kernel that does not proceed sample by sample."""
    scatter_block: int
    """Elements of the sums of rows by number that one block holds in scratch memory: the L2 cache keeps them."""
    combine_block: int
    """Elements of a block when partial results are added."""
    transpose_min_elements: int
    """Minimum elements of an array to transpose it square by square."""


EPYC_ZEN3 = CostModel(
    machine="AMD EPYC (Zen 3, AVX2), two cores of a virtual machine",
    max_chunk=4,
    min_chunks=16,
    min_blocks=16,
    min_long_blocks=32,
    max_partial_elements=16 * 1024 * 1024,
    sweep_min_elements=64 * 1024,
    sweep_min_channels=16,
    direct_max_padded_elements=64 * 1024,
    direct_max_weights=64 * 1024,
    direct_max_weights_packed=2**20,
    direct_max_weights_pairs=2**22,
    direct_max_weights_strided=2**18,
    direct_max_filters=64,
    direct_min_packed_channels=16,
    direct_min_packed_pixels=256,
    direct_min_lane_gain=1.1,
    direct_gradient_block=16 * 1024,
    direct_min_accumulators=8,
    gemm_min_filters=32,
    gemm_min_channels=24,
    gemm_min_pixels=256,
    gemm_min_channels_strided=16,
    wgrad_min_channels=32,
    gemm_pixels=48,
    gemm_pixels_tiles=64,
    gemm_min_prefetch_elements=2**20,
    wgrad_max_rows=256,
    wgrad_max_panel=48,
    wgrad_max_sums=32 * 1024,
    wgrad_depth=96,
    winograd_min_channels=16,
    winograd_min_channels_fused=8,
    winograd_min_gain=1.6,
    winograd_min_gain_pairs=3.5,
    winograd_tiles=24,
    winograd_min_blocks=16,
    winograd_max_prefetch_channels=48,
    winograd_round_elements=1024 * 1024,
    winograd_max_channel_pairs=32 * 32,
    winograd_max_rows=48,
    winograd_wgrad_tiles=16,
    winograd_wgrad_depth=96,
    depthwise_max_weights=4096,
    depthwise_block_weights=1600,
    depthwise_block_multiple=64,
    matmul_wide_min_elements=2**17,
    matmul_wide_max_rows=256,
    matmul_wide_max_unpacked_rows=3,
    matmul_wide_max_stripe=256,
    matmul_wide_max_block_rows=64,
    matmul_wide_depth=128,
    matmul_wide_unroll=8,
    pointwise_block=4096,
    scatter_block=32768,
    combine_block=1024,
    transpose_min_elements=2**14,
)
"""The only measured row. All targets use it: AVX-512, SSE4 and NEON run with figures that were not measured there."""
