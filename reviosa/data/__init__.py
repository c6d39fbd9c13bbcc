"""One record type, the readers that fill it, and the synthetic world."""

from reviosa.data.frames import read_frame_folder
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import CAPTION_TYPES, ROLES, Expression, Video, VideoSample

__all__ = [
    "CAPTION_TYPES",
    "ROLES",
    "Expression",
    "InterRVOSDataset",
    "Video",
    "VideoSample",
    "read_frame_folder",
]
