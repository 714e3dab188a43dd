"""Row streaming: a network computes rows as its image arrives, and keeps only those that windows still cover.

The first calls of a plan, as far as they can, become stages (`stages.py`). A stage computes one row of its results from
rows that are kept in rings (`rings.py`). The calls after them run once, on whole tensors. As in Alwani et al.,
"Fused-Layer CNN Accelerators" (2016), but nothing is computed twice.
"""

from opsin.compiler.streaming.plan import Step, StreamedPlan, streamed_plans

__all__ = ["Step", "StreamedPlan", "streamed_plans"]
