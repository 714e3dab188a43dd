"""Run folders: checkpoints, log, lock, resuming and comparing."""

from opsin.runs.api import resume, train
from opsin.runs.run import Run

__all__ = ["Run", "resume", "train"]
