"""Tell videos and cameras from other inputs, by their paths alone."""

from __future__ import annotations

VIDEO_ENDINGS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".3gp",
    ".ogv",
)  # fmt: skip

CAMERAS = ("/dev/video", "/dev/v4l/")
"""How the paths of cameras begin on Linux."""


def is_video(path: str) -> bool:
    """Return whether a path is that of a video, by its extension, or of a camera."""
    return path.lower().endswith(VIDEO_ENDINGS) or is_camera(path)


def is_camera(path: str) -> bool:
    """Return whether a path is that of a camera."""
    return path.startswith(CAMERAS)
