"""Sequences of words or characters: what is said in a recording, and when."""

from opsin.tasks.transcription.task import Transcription

__all__ = ["Transcription"]
