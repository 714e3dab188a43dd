"""Frames that arrive one after the other: from a folder that another program writes to, a video or a camera."""

from opsin.data.frames.backlog import Backlog
from opsin.data.frames.folder import FolderFrames
from opsin.data.frames.frame import Frame
from opsin.data.frames.video import Video
from opsin.data.frames.video_frames import camera_frames, video_frames
from opsin.data.frames.video_writer import VideoWriter

__all__ = [
    "Backlog", "FolderFrames", "Frame", "Video", "VideoWriter", "camera_frames", "video_frames",
]  # fmt: skip
