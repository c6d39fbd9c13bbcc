"""J and F of every frame that has truth, for all expressions of a data set, in several processes.

What is averaged over what is another matter: see :mod:`reviosa.evaluation.rules`.
"""

import functools
import multiprocessing
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reviosa.data.dataset import VideoDataset
from reviosa.data.records import ROLES, Expression, VideoSample
from reviosa.errors import ConfigError, DataError, RunError
from reviosa.evaluation.metrics import FrameScores, MaskError, frame_scores
from reviosa.evaluation.source import Masks, PredictionSource

__all__ = [
    "ExpressionScores",
    "ObjectScores",
    "RoleFrames",
    "score_expressions",
    "score_objects",
]

# Expressions that a process is given at once: enough that handing them over costs nothing, and of
# one video mostly, whose masks a reader may hold.
_AT_ONCE = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RoleFrames:
    """One role of one expression, frame by frame."""

    expression: Expression
    role: str
    """"actor" or "target"."""
    frames: FrameScores
    """Over the frames that have truth; J and F are 0 where the prediction is missing or faulty."""
    missing: bool
    """There was no prediction, or none that can be scored."""
    faults: tuple[str, ...] = ()
    """What is wrong with the prediction."""

    @property
    def j(self) -> float:
        """Mean J of the frames, 0 to 1."""
        return float(self.frames.j.mean())

    @property
    def f(self) -> float:
        """Mean F of the frames, 0 to 1."""
        return float(self.frames.f.mean())


@dataclass(frozen=True)
class ExpressionScores:
    """The scores of a system on a data set, not yet averaged."""

    roles: tuple[RoleFrames, ...]
    """The actor of every expression, and the target of every interaction after its actor."""
    unknown: tuple[str, ...]
    """Sample ids that were predicted but are not in the data set; they count nowhere."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Sample ids of which a role has no prediction, and no fault that says why."""
        return tuple(
            dict.fromkeys(
                one.expression.sample_id for one in self.roles if one.missing and not one.faults
            )
        )

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """By sample id, what is wrong with its prediction, each with its role."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.roles:
            sample_id = one.expression.sample_id
            told = tuple(f"{one.role}: {fault}" for fault in one.faults)
            if told:
                found[sample_id] = found.get(sample_id, ()) + told
        return found


@dataclass(frozen=True)
class ObjectScores:
    """Every predicted object of a video against every true one, for rules that match them."""

    video_id: str
    group: str
    """Group of the expressions that name the objects, for example an annotator."""
    j: NDArray[np.float64]
    """J [predicted, true, frame]; predicted and true object i are those of expression i."""
    f: NDArray[np.float64]
    """F [predicted, true, frame]."""
    missing: tuple[bool, ...]
    """For each expression whether its prediction is missing or faulty: its J and F are all 0."""


def score_expressions(
    dataset: VideoDataset,
    source: PredictionSource,
    workers: int = 1,
    progress: Progress | None = None,
    roles: Sequence[str] = ROLES,
) -> ExpressionScores:
    """Score all that can be scored; what is missing or faulty counts 0 and is named.

    The numbers, and their order, are the same for any number of workers. Masks that both sides
    keep as RLE are never decoded to arrays, and no more than a few expressions are held at once.

    Args:
        dataset: with truth. Expressions of a video without a frame that has truth are left out.
        source: the predictions. With several workers both are pickled once for each of them.
        workers: processes that score. With more than one, a script needs the usual
            ``if __name__ == "__main__"``.
        progress: called with the number of expressions done and of all.
        roles: roles to score, of :data:`~reviosa.data.records.ROLES`.

    Raises:
        DataError: the truth is damaged, or ``source`` raises it.
        ConfigError: ``workers`` is below 1.
        RunError: a process ended before its work was done.
    """
    samples = [sample for sample in dataset.samples if len(sample.video.truth_frames)]
    units = [samples[start : start + _AT_ONCE] for start in range(0, len(samples), _AT_ONCE)]
    job = _Job(_score_roles, dataset, source, tuple(roles))
    found: list[RoleFrames] = []
    done = 0
    for unit, part in zip(units, _results(job, units, workers), strict=True):
        found += part
        for _ in unit:
            done += 1
            if progress is not None:
                progress(done, len(samples))
    known = {sample.expression.sample_id for sample in dataset.samples}
    predicted = (f"{video_id}/{exp_id}" for video_id, exp_id in source.ids())
    return ExpressionScores(tuple(found), tuple(name for name in predicted if name not in known))


def score_objects(
    dataset: VideoDataset,
    source: PredictionSource,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[ObjectScores, ...]:
    """Score each predicted object of a video against each true one of the same group.

    The objects are the actors of the expressions, one each; the expressions of a video are taken
    group by group. Arguments and errors are those of :func:`score_expressions`.
    """
    units: list[list[VideoSample]] = []
    for _, samples in groupby(dataset.samples, key=lambda sample: sample.video.video_id):
        groups: dict[str, list[VideoSample]] = {}
        for sample in samples:
            if len(sample.video.truth_frames):
                groups.setdefault(sample.expression.group, []).append(sample)
        units += groups.values()
    job = _Job(_match, dataset, source, ROLES)
    found: list[ObjectScores] = []
    done, total = 0, sum(map(len, units))
    for unit, part in zip(units, _results(job, units, workers), strict=True):
        found.append(part)
        done += len(unit)
        if progress is not None:
            progress(done, total)
    return tuple(found)


@dataclass(frozen=True)
class _Job:
    """What a process needs to do its share."""

    run: Callable[["_Job", list[VideoSample]], Any]
    dataset: VideoDataset
    source: PredictionSource
    roles: tuple[str, ...]


def _score_roles(job: _Job, samples: list[VideoSample]) -> list[RoleFrames]:
    return [
        _score_role(job, sample, index)
        for sample in samples
        for index, role in enumerate(ROLES)
        if role in job.roles and (role == "actor" or sample.expression.is_interaction)
    ]


def _score_role(job: _Job, sample: VideoSample, index: int) -> RoleFrames:
    truth, size = _truth(job.dataset, sample, index)
    masks, faults = _prediction(job.source, sample, index, size)
    if masks is not None:
        try:
            frames = _compare(masks, truth, size, sample)
            return RoleFrames(sample.expression, ROLES[index], frames, False, faults)
        except MaskError as error:
            faults = (*faults, f"frame {error.frame}: {error.reason}")
    # The pixels of the truth are needed even so, by rules that add them up.
    frames = _compare(_nothing(truth), truth, size, sample)
    zeros = np.zeros(len(frames.j))
    frames = FrameScores(zeros, zeros, frames.common, frames.predicted, frames.true)
    return RoleFrames(sample.expression, ROLES[index], frames, True, faults)


def _match(job: _Job, samples: list[VideoSample]) -> ObjectScores:
    truths = [_truth(job.dataset, sample, 0) for sample in samples]
    shape = (len(samples), len(samples), len(samples[0].video.truth_frames))
    j, f, missing = np.zeros(shape), np.zeros(shape), []
    for row, sample in enumerate(samples):
        masks, _ = _prediction(job.source, sample, 0, truths[row][1])
        try:
            if masks is not None:
                for column, (truth, size) in enumerate(truths):
                    frames = _compare(masks, truth, size, samples[column])
                    j[row, column], f[row, column] = frames.j, frames.f
        except MaskError:
            masks = None
        missing.append(masks is None)
    expression = samples[0].expression
    return ObjectScores(expression.video_id, expression.group, j, f, tuple(missing))


def _truth(dataset: VideoDataset, sample: VideoSample, index: int) -> tuple[Masks, tuple[int, int]]:
    """True masks of a role on the frames that have truth, compressed if they are kept so."""
    expression, video = sample.expression, sample.video
    ids = expression.actor_ids if ROLES[index] == "actor" else expression.target_ids
    compressed = dataset.rles(video.video_id, ids, video.truth_frames)
    if compressed is not None:
        return compressed, dataset.size(video.video_id)
    masks = sample.masks(index, video.truth_frames)
    return masks, (masks.shape[1], masks.shape[2])


def _prediction(
    source: PredictionSource, sample: VideoSample, index: int, size: tuple[int, int]
) -> tuple[Masks | None, tuple[str, ...]]:
    expression, video = sample.expression, sample.video
    found = source.find(
        video.video_id,
        expression.exp_id,
        ROLES[index],
        video.frame_names,
        size,
        video.truth_frames,
    )
    return found.masks, found.faults


def _compare(masks: Masks, truth: Masks, size: tuple[int, int], sample: VideoSample) -> FrameScores:
    """Compare; only what is wrong with the prediction is left a :class:`MaskError`."""
    try:
        return frame_scores(masks, truth, size)
    except MaskError as error:
        frame = sample.video.truth_frames[error.frame]
        if error.side == "prediction":
            raise MaskError(error.side, frame, error.reason) from None
        raise DataError(
            f"{sample.expression.sample_id}, truth, frame {frame}: {error.reason}"
        ) from None


def _nothing(truth: Masks) -> Masks:
    return [[] for _ in truth]


def _results(job: _Job, units: list[list[VideoSample]], workers: int) -> Iterator[Any]:
    """What the job makes of each unit, in their order."""
    if workers < 1:
        raise ConfigError(
            f"got {workers} workers, expected at least 1; choose a number of processes"
        )
    workers = min(workers, len(units))
    if workers < 2:
        yield from (job.run(job, unit) for unit in units)
        return
    # Not by fork: this process may have threads, and a GPU.
    context = multiprocessing.get_context("spawn")
    places = {id(sample): place for place, sample in enumerate(job.dataset.samples)}
    pool = ProcessPoolExecutor(workers, context, _begin, (pickle.dumps(job),))
    waiting: deque[Future[Any]] = deque()
    try:
        for unit in units:
            # Samples are named by their place: each would be pickled with its whole data set.
            waiting.append(pool.submit(_work, [places[id(sample)] for sample in unit]))
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise RunError(
            f"got a process that ended while it scored, expected {workers} to work to the end; "
            "the machine may be short of memory: use fewer workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_pickled = b""
"""In a process that scores, the job it was started with."""


def _begin(pickled: bytes) -> None:
    global _pickled
    # Whoever presses Ctrl+C means the process that started this one, which then ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _pickled = pickled


@functools.cache
def _begun() -> _Job:
    # Not when the process begins: what goes wrong there is not told to the one that started it.
    return pickle.loads(_pickled)


def _work(places: list[int]) -> Any:
    job = _begun()
    return job.run(job, [job.dataset.samples[place] for place in places])
