"""What a network looks like."""

from opsin.seeing.architecture import diagram

__all__ = ["diagram"]
