"""From a data set to batches: which frames, which expressions, which truth."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from reviosa.data.dataset import VideoDataset
from reviosa.data.mixture import MixtureDataset
from reviosa.data.prompts import answer, release_turn
from reviosa.data.records import Video, VideoSample
from reviosa.errors import DataError
from reviosa.features import FrameBatch, FrozenFeatures, frames_of
from reviosa.losses import pool_masks
from reviosa.model.processor import IGNORED, ReviosaProcessor

__all__ = [
    "ConversationDataset",
    "collate",
    "mixture_turns",
    "release_expressions",
    "release_frames",
    "sample_expressions",
    "sample_frames",
    "share_of_videos",
]

_PIXELS = ("pixel_values", "sam_pixel_values")


def sample_frames(rng: np.random.Generator, num_frames: int, wanted: int) -> list[int]:
    """Draw one frame from each of ``wanted`` equal parts of a video, in order.

    Where the video has fewer frames than that, some frames repeat.
    """
    edges = np.arange(wanted + 1) * num_frames / wanted
    low = np.floor(edges[:-1]).astype(int)
    high = np.maximum(np.floor(edges[1:]).astype(int), low + 1)
    return [int(min(x, num_frames - 1)) for x in rng.integers(low, high)]


def sample_expressions(
    rng: np.random.Generator,
    interaction: Sequence[bool],
    wanted: int,
    preferred: Sequence[bool] | None = None,
) -> list[int]:
    """Draw ``wanted`` expressions, an interaction among them where there is one, in any order.

    Drawn without replacement; where there are fewer, all are taken and some repeat. The release
    puts the interaction first (REVIOSA.md 2.5). Whether there is a target can then be read off the
    turn instead of the expression, and a single question, which is a first turn, is always
    answered with two roles: seen so on the nano model.

    ``preferred`` ones are taken before any others.
    """
    count = len(interaction)
    order = rng.permutation(count)
    if preferred is not None:
        order = sorted(order, key=lambda i: not preferred[i])
    acting = [int(i) for i in order if interaction[i]]
    first = acting[:1]
    rest = [int(i) for i in order if int(i) not in first]
    chosen = (first + rest)[:wanted]
    missing = wanted - len(chosen)
    chosen += [int(i) for i in rng.integers(0, count, missing)]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def release_frames(rng: np.random.Generator, num_frames: int, wanted: int) -> list[int]:
    """Draw frames as the release does: in order, and repeated in short videos (REVIOSA.md 2.5)."""
    few = num_frames <= wanted + 1
    return sorted(int(x) for x in rng.choice(num_frames, wanted, replace=few))


def release_expressions(
    rng: np.random.Generator, interaction: Sequence[bool], wanted: int
) -> list[int]:
    """Draw expressions as the release does, the interaction first (REVIOSA.md 2.5).

    Where there are more than ``wanted``, the others are drawn from all, so that the interaction
    may come twice.
    """
    count = len(interaction)
    acting = [i for i, acts in enumerate(interaction) if acts]
    if count > wanted:
        first = [int(rng.choice(acting))] if acting else []
        rest = rng.choice(count, wanted - len(first), replace=False)
    else:
        first = acting
        others = [i for i, acts in enumerate(interaction) if not acts]
        rest = [*others, *rng.choice(count, wanted - count, replace=True)]
    return [*first, *(int(i) for i in rest)]


def share_of_videos(videos: Sequence[Video], fraction: float) -> list[Video]:
    """A share of the videos, at least one, in their order.

    Which ones depends on the ids alone, as if drawn blindly: they come first in the order of the
    SHA-256 of their ids. So a smaller share lies within a larger one, and every seed has the same.
    """
    count = max(1, round(fraction * len(videos)))
    ids = (video.video_id for video in videos)
    first = set(sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:count])
    return [video for video in videos if video.video_id in first]


def mixture_turns(weights: Sequence[float], draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which part each draw is from, and how many draws of that part are before it; int64 [draw].

    Parts are drawn independently with probabilities in proportion to their weights. More draws
    begin with the same ones.
    """
    shares = np.cumsum(weights) / np.sum(weights)
    numbers = np.random.default_rng([seed, 3]).random(draws)
    # The last share may round to just below 1.
    parts = np.searchsorted(shares[:-1], numbers, side="right")
    turns = np.zeros(draws, np.int64)
    for part in range(len(weights)):
        here = parts == part
        turns[here] = np.arange(here.sum())
    return parts, turns


def _usable(videos: Sequence[Video], where: str, fraction: float) -> list[Video]:
    usable = [v for v in videos if v.expressions and (v.annotated is None or v.annotated)]
    if not usable:
        raise DataError(f"{where}: no video has an expression; nothing to train on")
    return share_of_videos(usable, fraction)


class ConversationDataset(Dataset):
    """One multi-turn conversation a draw: several expressions about the same frames of a video.

    A draw depends on its index and the seed alone, so a resumed run sees what an uninterrupted one
    would have seen. Every video is drawn once before any is drawn again. Of a mixture the part is
    drawn by weight, and every video of a part is drawn once before any of that part is again.
    Frames are drawn from those that have truth.

    Args:
        dataset: where videos and masks come from.
        processor: of the model to be trained.
        draws: length of the dataset.
        num_frames: frames a draw.
        expressions: expressions a draw.
        mask_size: side of the mask targets in pixels: SAM2's low resolution.
        seed: fixes all draws.
        targets: whether interactions are answered with two roles; else all with the actor's alone.
        style: how frames, expressions and words are drawn; see ``TrainConfig.conversations``.
        truth: how masks are brought to ``mask_size`` and to patches.
        fraction: share of the videos with an expression to draw from, and of each part of a
            mixture; see :func:`share_of_videos`.
        features: of the frames; they are computed each time when None.

    Raises:
        DataError: no video has an expression, or none of a part of a mixture.
    """

    def __init__(
        self,
        dataset: VideoDataset,
        processor: ReviosaProcessor,
        draws: int,
        num_frames: int = 4,
        expressions: int = 5,
        mask_size: int = 32,
        seed: int = 0,
        targets: bool = True,
        style: Literal["plain", "release"] = "plain",
        truth: Literal["area", "nearest"] = "area",
        fraction: float = 1.0,
        features: FrozenFeatures | None = None,
    ) -> None:
        self._turns: tuple[np.ndarray, np.ndarray] | None = None
        if isinstance(dataset, MixtureDataset):
            self.sources = [
                _usable(part.videos, f"{dataset.root}, {part.name}", fraction)
                for part in dataset.parts
            ]
            self._turns = mixture_turns([part.weight for part in dataset.parts], draws, seed)
        else:
            self.sources = [_usable(dataset.videos, str(dataset.root), fraction)]
        self.dataset, self.processor = dataset, processor
        self.draws, self.num_frames, self.expressions = draws, num_frames, expressions
        self.mask_size, self.seed, self.targets = mask_size, seed, targets
        self.style, self.truth = style, truth
        self.features = features or FrozenFeatures(processor)

    def __len__(self) -> int:
        return self.draws

    def draw(self, index: int) -> tuple[Video, list[int], list[VideoSample]]:
        """Which video, frames and expressions draw ``index`` consists of."""
        video = self._video(index)
        has_truth = video.truth_frames
        rng = np.random.default_rng([self.seed, index, 1])
        acting = [e.is_interaction for e in video.expressions]
        if self.style == "release":
            places = release_frames(rng, len(has_truth), self.num_frames)
            chosen = release_expressions(rng, acting, self.expressions)
        else:
            places = sample_frames(rng, len(has_truth), self.num_frames)
            chosen = sample_expressions(rng, acting, self.expressions)
        samples = [VideoSample(video, video.expressions[i], self.dataset) for i in chosen]
        return video, [has_truth[i] for i in places], samples

    def _video(self, index: int) -> Video:
        source, turn = 0, index
        if self._turns is not None:
            source, turn = (int(x[index]) for x in self._turns)
        videos = self.sources[source]
        epoch, place = divmod(turn, len(videos))
        # One data set alone is drawn as it was before there were mixtures.
        key = [self.seed, epoch, 0] if self._turns is None else [self.seed, epoch, 0, source]
        return videos[np.random.default_rng(key).permutation(len(videos))[place]]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One draw; see :func:`collate` for the names and shapes. Its frames are not read yet."""
        video, frames, samples = self.draw(index)
        targets = [self.targets and s.expression.is_interaction for s in samples]
        asked: list[str] = [s.expression.text for s in samples]
        answers: list[str] = [answer(target) for target in targets]
        if self.style == "release":
            rng = np.random.default_rng([self.seed, index, 2])
            turns = [release_turn(rng, x, t) for x, t in zip(asked, targets, strict=True)]
            asked, answers = [x for x, _ in turns], [x for _, x in turns]
        ids, labels = self.processor.conversation(
            asked, answers, len(frames), as_they_are=self.style == "release"
        )
        truth = np.stack([[s.masks(role, frames) for role in (0, 1)] for s in samples])
        masks = torch.from_numpy(truth)
        return {
            "input_ids": ids,
            "labels": labels,
            "frames": FrameBatch(self.features, frames_of(video, frames)),
            "mask_targets": (shrunk := pool_masks(masks, self.mask_size, self.truth)),
            # The release shrinks what it has shrunk already; by area, that would blur for nothing.
            "patch_targets": pool_masks(
                shrunk if self.truth == "nearest" else masks, self.processor.grid, self.truth
            ),
            "has_target": torch.tensor(targets),
        }


def collate(items: Sequence[dict[str, Any]], processor: ReviosaProcessor) -> dict[str, Any]:
    """Join draws to a batch.

    Frames are read and encoded when the model asks for them: all batches of an optimiser step wait
    on the device together.

    Returns:
        ``input_ids``, ``attention_mask``, ``labels`` [batch, token], right-padded;
        ``frames``, a :class:`~reviosa.features.FrameBatch` of batch * frame frames, or what the
        draws have in its place: ``pixel_values``, ``sam_pixel_values`` [batch, frame, 3, height,
        width], normalised;
        ``mask_targets`` [row, role, frame, size, size], ``patch_targets`` [row, role, frame, grid,
        grid], both covered fractions; ``has_target`` bool [row]. Rows are the expressions, sample
        after sample.
    """
    ids, attention = processor.pad([x["input_ids"] for x in items])
    labels, _ = processor.pad([x["labels"] for x in items], value=IGNORED)
    if "frames" in items[0]:
        seen: dict[str, Any] = {"frames": FrameBatch.joined([x["frames"] for x in items])}
    else:
        seen = {k: torch.stack([x[k] for x in items]) for k in _PIXELS}
    rows = ("mask_targets", "patch_targets", "has_target")
    joined = {k: torch.cat([x[k] for x in items]) for k in rows}
    return {
        "input_ids": ids,
        "attention_mask": attention,
        "labels": labels,
        **seen,
        **joined,
    }
