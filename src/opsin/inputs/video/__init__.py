"""Clips of video: frames at even intervals of time as the rows of one tall image."""

from opsin.inputs.video.clips import Clips

__all__ = ["Clips"]
