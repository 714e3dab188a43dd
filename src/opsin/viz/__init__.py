"""What a network looks like."""

from opsin.viz.architecture import diagram

__all__ = ["diagram"]
