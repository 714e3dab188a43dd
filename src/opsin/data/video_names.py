"""Tell videos and cameras from other inputs, by their paths alone."""

from __future__ import annotations

from opsin.base.path_words import VIDEO_ENDINGS

CAMERAS = ("/dev/video", "/dev/v4l/")
"""How the paths of cameras begin on Linux."""


def is_video(path: str) -> bool:
    """Return whether a path is that of a video, by its extension, or of a camera."""
    return path.lower().endswith(VIDEO_ENDINGS) or is_camera(path)


def is_camera(path: str) -> bool:
    """Return whether a path is that of a camera."""
    return path.startswith(CAMERAS)
