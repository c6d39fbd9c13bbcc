"""Archives of predictions as the servers of MeViS and Ref-YouTube-VOS take them.

Pictures of 0 and 255, one a frame: ``<video>/<expression>/<frame>.png`` for MeViS, the same below
``Annotations/`` for Ref-YouTube-VOS. Sources: the "Submission Guideline" of
https://github.com/henghuiding/MeViS, and https://github.com/wjn922/ReferFormer,
``docs/Ref-Youtube-VOS.md``.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.data.records import Expression, Video
from reviosa.data.rle import decode
from reviosa.errors import ConfigError, DataError
from reviosa.evaluation.source import Found, PredictionSource
from reviosa.io import atomic_path

__all__ = ["ARCHIVE_ROOTS", "write_archive"]

ARCHIVE_ROOTS: Final = {"mevis": "", "ref-youtube-vos": "Annotations/"}
"""Layout of the data set -> what stands before the videos in the archive."""

# The first moment that a zip file can name: the archive depends on the masks alone.
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_archive(
    path: str | Path,
    dataset: VideoDataset,
    source: PredictionSource,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Fault, ...]:
    """Write the masks of all expressions on all frames, or nothing if one of them is not there.

    A null in a list of masks counts as not there: an empty mask must be meant. The same masks give
    the same bytes.

    Args:
        path: the archive; one that is there is replaced.
        dataset: the split, whose frames and expressions the archive must hold; it needs no truth.
        source: the predictions; what they say of other expressions is left out.
        progress: called with the number of expressions done and of all.

    Returns:
        What is missing or wrong, by ``video/expression``; where there is any, nothing is written.

    Raises:
        ConfigError: no server takes archives of this layout.
        DataError: a frame whose size is needed cannot be read.
    """
    if dataset.layout not in ARCHIVE_ROOTS:
        raise ConfigError(
            f"{dataset.root}: got the layout {dataset.layout}, expected one whose server takes "
            f"archives ({', '.join(ARCHIVE_ROOTS)}); score the predictions here"
        )
    faults: list[Fault] = []
    path = Path(path)
    try:
        with atomic_path(path) as temporary:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                for name, content in _pictures(dataset, source, faults, progress):
                    if not faults:
                        archive.writestr(_entry(ARCHIVE_ROOTS[dataset.layout] + name), content)
            if faults:
                raise _Incomplete
    except _Incomplete:
        pass
    return tuple(faults)


class _Incomplete(Exception):
    """Leaves the block that would put the archive in its place."""


def _pictures(
    dataset: VideoDataset,
    source: PredictionSource,
    faults: list[Fault],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, in order; faults are added to the list on the way."""
    done, total = 0, len(dataset.samples)
    for video in sorted(dataset.videos, key=lambda video: video.video_id):
        if not video.expressions:
            continue
        size = dataset.size(video.video_id)
        for expression in sorted(video.expressions, key=lambda expression: expression.exp_id):
            found = _find(source, video, expression, size)
            told = found.faults or (("got no prediction",) if found.masks is None else ())
            faults += (Fault(expression.sample_id, what) for what in told)
            done += 1
            if progress is not None:
                progress(done, total)
            if found.masks is None:
                continue
            names = (f"{expression.sample_id}/{name}.png" for name in video.frame_names)
            try:
                for name, mask in zip(names, _decoded(found, size), strict=True):
                    yield name, _png(mask)
            except DataError as error:
                faults.append(Fault(expression.sample_id, str(error)))


def _find(
    source: PredictionSource, video: Video, expression: Expression, size: tuple[int, int]
) -> Found:
    indices = range(video.num_frames)
    names = video.frame_names
    return source.find(video.video_id, expression.exp_id, "actor", names, size, indices)


def _decoded(found: Found, size: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
    for frame, masks in enumerate(found.masks if found.masks is not None else ()):
        if isinstance(masks, np.ndarray):
            yield masks
            continue
        union = np.zeros(size, bool)
        for rle in masks:
            try:
                union |= decode(rle, size)
            except DataError as error:
                raise DataError(f"frame {frame}: {error}") from None
        yield union


def _png(mask: NDArray[np.bool_]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    # As on Unix, whatever this machine is: else the archive would tell where it was made.
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry
