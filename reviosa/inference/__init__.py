"""Video and expression in; actor track, target track and the model's answer out."""

from reviosa.inference.frames import ArrayFrames, FrameSource, first_frames, uniform_frames
from reviosa.inference.predictions import predict, prediction_record
from reviosa.inference.results import SegmentationResult, encode_track
from reviosa.inference.segmenter import (
    Answer,
    RolePair,
    Segmenter,
    VideoFeatures,
    role_pairs,
)

__all__ = [
    "Answer",
    "ArrayFrames",
    "FrameSource",
    "RolePair",
    "SegmentationResult",
    "Segmenter",
    "VideoFeatures",
    "encode_track",
    "first_frames",
    "predict",
    "prediction_record",
    "role_pairs",
    "uniform_frames",
]
