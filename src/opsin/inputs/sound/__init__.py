"""Sounds: recordings as 16-bit samples of one rate, and the features that networks get of them."""

from opsin.inputs.sound.sound import Sound

__all__ = ["Sound"]
