"""One record type, the readers that fill it, and the synthetic world."""

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.data.frames import read_frame_folder
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.opening import LAYOUTS, open_dataset
from reviosa.data.records import CAPTION_TYPES, ROLES, Expression, Video, VideoSample

__all__ = [
    "CAPTION_TYPES",
    "LAYOUTS",
    "ROLES",
    "Expression",
    "Fault",
    "InterRVOSDataset",
    "Video",
    "VideoDataset",
    "VideoSample",
    "open_dataset",
    "read_frame_folder",
]
