"""A model on one video: what can be shared by all questions about it is computed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from reviosa.data.prompts import answer
from reviosa.data.records import Video
from reviosa.features import FrozenFeatures, frames_of, require_size
from reviosa.inference.frames import (
    ArrayFrames,
    FrameSource,
    first_frames,
    require_frames,
    uniform_frames,
)
from reviosa.inference.opening import Opening, generate, read_on, read_opening
from reviosa.inference.results import SegmentationResult, Track, encode_track
from reviosa.model import ReviosaModel, ReviosaOutput, ReviosaProcessor
from reviosa.model.segmenter import FrameFeatures, decode_prompts
from reviosa.model.tracker import MemoryTracker

__all__ = ["Answer", "RolePair", "Segmenter", "VideoFeatures", "role_pairs"]

# Bounds of memory: frames read ahead, conversations in the language model, objects tracked.
_FRAMES_AT_ONCE = 8
_CONVERSATIONS_AT_ONCE = 16
_OBJECTS_AT_ONCE = 16


class Answer(NamedTuple):
    """A finished conversation about one expression."""

    ids: list[int]
    """Question and answer as token ids."""
    text: str
    """The answer."""
    babble: str | None
    """What the model had said by itself, where that named no role; None where it did."""


@dataclass(frozen=True)
class VideoFeatures:
    """What all expressions about one video share: computed once, used by each.

    Only the frames that the language model saw are held; the others are encoded when they are
    tracked, so memory does not grow with the video.
    """

    source: FrameSource
    opening: Opening
    """The frames as the language model has read them."""
    sam: dict[int, FrameFeatures] = field(repr=False)
    """SAM2's features of each seen frame, by its index."""
    size: tuple[int, int]
    """Height and width of the video in pixels."""

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Frames that the language model saw."""
        return tuple(self.sam)


RolePair = tuple[Tensor | None, Tensor | None]
"""Language vectors of actor and target, [channel] each; None where not named."""


class Segmenter:
    """Runs a model on videos; several expressions of one video share all that can be shared.

    The model is put into evaluation mode, and left in it.

    Args:
        model: the model.
        processor: its processor.
        features: of the frames; they are computed each time when None.
    """

    def __init__(
        self,
        model: ReviosaModel,
        processor: ReviosaProcessor,
        features: FrozenFeatures | None = None,
    ) -> None:
        self.model, self.processor = model, processor
        self.features = features or FrozenFeatures(processor)

    def seen_frames(self, num_frames: int) -> tuple[int, ...]:
        """Which frames of a video of ``num_frames`` the language model sees."""
        config = self.model.config
        choose = first_frames if config.frame_sampling == "first" else uniform_frames
        return choose(num_frames, config.num_frames)

    def seen_in(self, source: FrameSource) -> tuple[int, ...]:
        """Which frames of a video the language model sees.

        Of a video whose truth covers some frames only they are chosen among these, as in training.
        """
        annotated = source.annotated if isinstance(source, Video) else None
        if not annotated:
            return self.seen_frames(source.num_frames)
        return tuple(annotated[index] for index in self.seen_frames(len(annotated)))

    @torch.inference_mode()
    def encode(self, frames: FrameSource | np.ndarray) -> VideoFeatures:
        """Let the language model read a video, and encode the frames it sees for SAM2.

        Args:
            frames: of the whole video; an array is uint8 [frame, height, width, 3].

        Raises:
            DataError: the frames are no uint8 video, differ in size, or there are none.
        """
        source = ArrayFrames(frames) if isinstance(frames, np.ndarray) else frames
        require_frames(source)
        model = self.model.eval()
        seen = self.seen_in(source)
        shown = frames_of(source, seen)
        size = shown[0].size
        require_size(shown, size)
        patches = self.features.patches(model, shown)
        opening = read_opening(model, self.processor, model.project(patches[None]), len(seen))
        sam = dict(zip(seen, self.features.views(model, shown), strict=True))
        return VideoFeatures(source, opening, sam, size)

    @torch.inference_mode()
    def answer(self, features: VideoFeatures, expressions: Sequence[str]) -> list[Answer]:
        """Let the model answer; an answer that names no role is put into form.

        Far from its training data a model may babble. It is then given the beginning that both
        proper answers share, up to the actor's token, and decides how that goes on: by ending, or
        by naming a target.

        Raises:
            DataError: an expression is empty.
        """
        frames = len(features.frame_indices)
        asked = [self.processor.conversation([e], [None], frames)[0] for e in expressions]
        answers: list[Answer] = []
        for start in range(0, len(asked), _CONVERSATIONS_AT_ONCE):
            part = asked[start : start + _CONVERSATIONS_AT_ONCE]
            answered = generate(self.model, self.processor, features.opening, part)
            for expression, before, after in zip(expressions[start:], part, answered, strict=False):
                answers.append(self._checked(features, expression, before, after))
        return answers

    def _checked(
        self, features: VideoFeatures, expression: str, before: list[int], after: list[int]
    ) -> Answer:
        text = self.processor.decode(after[len(before) :])
        whole = _well_formed(after, len(before), self.model)
        if self.model.config.actor_token_id in whole[len(before) :]:
            return Answer(whole, text, None)
        whole = self._in_form(features, expression)
        return Answer(whole, self.processor.decode(whole[len(before) :]), text)

    def _in_form(self, features: VideoFeatures, expression: str) -> list[int]:
        """The conversation with that proper answer which the model finds likelier."""
        frames = len(features.frame_indices)
        one, two = (
            self.processor.conversation([expression], [answer(target)], frames)[0]
            for target in (False, True)
        )
        fork = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
        scores = self.read(features, [one[:fork]]).logits
        assert scores is not None
        return two if scores[0, two[fork]] > scores[0, one[fork]] else one

    @torch.inference_mode()
    def segment(self, frames: FrameSource | np.ndarray, expression: str) -> SegmentationResult:
        """Segment actor and target of ``expression`` in ``frames``.

        Args:
            frames: of the whole video; an array is uint8 [frame, height, width, 3].
            expression: a phrase such as "a rider jumping a horse".

        Raises:
            DataError: the expression is empty or the frames are no uint8 video.
        """
        return self.segment_encoded(self.encode(frames), [expression])[0]

    @torch.inference_mode()
    def segment_encoded(
        self, features: VideoFeatures, expressions: Sequence[str]
    ) -> list[SegmentationResult]:
        """As :meth:`segment`, of several expressions about a video that was encoded.

        Raises:
            TypeError: ``expressions`` is a single text.
        """
        if isinstance(expressions, str):
            raise TypeError("expressions is a text; give a list of texts")
        replies = self.answer(features, expressions)
        prompts: list[RolePair] = []
        for start in range(0, len(replies), _CONVERSATIONS_AT_ONCE):
            part = replies[start : start + _CONVERSATIONS_AT_ONCE]
            prompts += role_pairs(self.read(features, [r.ids for r in part]), len(part))
        return self.finish(features, replies, prompts)

    def role_tokens(self, features: VideoFeatures, ids: Sequence[int]) -> tuple[int, int]:
        """Places of the first actor and the first target token behind the frames; -1 if absent.

        Those whose masks count (see :func:`role_pairs`).
        """
        config, start = self.model.config, features.opening.ids.shape[1]
        actor, target = (
            ids.index(token, start) if token in ids[start:] else -1
            for token in (config.actor_token_id, config.target_token_id)
        )
        return actor, target

    @torch.inference_mode()
    def read(
        self, features: VideoFeatures, conversations: Sequence[Sequence[int]]
    ) -> ReviosaOutput:
        """One forward pass over conversations about the video; see :func:`read_on`."""
        return read_on(self.model, self.processor, features.opening, conversations)

    @torch.inference_mode()
    def finish(
        self, features: VideoFeatures, replies: Sequence[Answer], prompts: Sequence[RolePair]
    ) -> list[SegmentationResult]:
        """Turn the role prompts of conversations that were read into masks of the whole video.

        All roles of all conversations are tracked side by side.
        """
        total = features.source.num_frames

        def empty(prompt: Tensor | None) -> Track | None:
            return None if prompt is None else [{} for _ in range(total)]

        tracks = [(empty(actor), empty(target)) for actor, target in prompts]
        named = [track for pair in tracks for track in pair if track is not None]
        given = [prompt for pair in prompts for prompt in pair if prompt is not None]
        if given:
            for frame, masks in self.track(features, torch.stack(given)):
                for track, mask in zip(named, encode_track(masks), strict=True):
                    track[frame] = mask
        return [
            SegmentationResult(
                reply.text, pair, features.frame_indices, tuple(reply.ids), reply.babble
            )
            for reply, pair in zip(replies, tracks, strict=True)
        ]

    @torch.inference_mode()
    def decode(self, features: VideoFeatures, prompts: Tensor) -> np.ndarray:
        """Masks of each prompt on the frames that the language model saw, without any memory.

        Args:
            features: of :meth:`encode`.
            prompts: language vectors, [prompt, channel].

        Returns:
            bool [frame, prompt, height, width].
        """
        frames = []
        for view in features.sam.values():
            masks = []
            for group in prompts.split(_OBJECTS_AT_ONCE):
                shared = view.take(torch.zeros(len(group), dtype=torch.int64, device=group.device))
                decoded = decode_prompts(self.model.sam2, shared, group)
                masks.append(self._full(decoded.masks(), features.size).cpu().numpy())
            frames.append(np.concatenate(masks))
        return np.stack(frames)

    def _full(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Masks at the size of the video, by way of SAM2's own size (REVIOSA.md 4.1)."""
        own = self.model.sam2.image_size
        full = logits[:, None]
        for step in ((own, own), size):
            full = interpolate(full, step, mode="bilinear", align_corners=False)
        return full[:, 0] > 0

    def track(self, features: VideoFeatures, prompts: Tensor) -> Iterator[tuple[int, np.ndarray]]:
        """Masks of each prompt, bool [prompt, height, width], frame by frame with its index.

        The frames the language model saw are segmented from the prompt, the others from SAM2's
        memory: first those, then the frames before them back to the start of the video, then those
        that follow. All prompts share each frame's features.
        """
        total = features.source.num_frames
        groups = prompts.split(_OBJECTS_AT_ONCE)
        trackers = [MemoryTracker(self.model.sam2, total) for _ in groups]

        def masks(frame: int, view: FrameFeatures, reverse: bool | None) -> np.ndarray:
            found = []
            for tracker, group in zip(trackers, groups, strict=True):
                shared = view.take(torch.zeros(len(group), dtype=torch.int64, device=group.device))
                if reverse is None:
                    decoded = tracker.condition(frame, shared, group)
                else:
                    decoded = tracker.track(frame, shared, reverse)
                found.append(self._full(decoded.masks(), features.size).cpu().numpy())
            return np.concatenate(found)

        with torch.inference_mode():
            for frame, view in features.sam.items():
                yield frame, masks(frame, view, None)
            first = min(features.sam)
            walk = [*reversed(range(first)), *range(first + 1, total)]
            walk = [frame for frame in walk if frame not in features.sam]
            for start in range(0, len(walk), _FRAMES_AT_ONCE):
                part = walk[start : start + _FRAMES_AT_ONCE]
                frames = frames_of(features.source, part)
                require_size(frames, features.size)
                views = self.features.views(self.model, frames)
                for frame, view in zip(part, views, strict=True):
                    yield frame, masks(frame, view, frame < first)


def role_pairs(output: ReviosaOutput, conversations: int) -> list[RolePair]:
    """The first actor's and the first target's vector of each conversation (REVIOSA.md 4.2)."""
    pairs: list[list[Tensor | None]] = [[None, None] for _ in range(conversations)]
    assert output.prompts is not None and output.prompt_role is not None
    assert output.row_sample is not None
    samples = output.row_sample[output.prompt_row].tolist()
    for sample, role, prompt in zip(
        samples, output.prompt_role.tolist(), output.prompts, strict=True
    ):
        if pairs[sample][role] is None:
            pairs[sample][role] = prompt
    return [(actor, target) for actor, target in pairs]


def _well_formed(ids: list[int], start: int, model: ReviosaModel) -> list[int]:
    """Cut a generated answer before a role token that no other role token lets stand.

    A badly trained model may name a target first or two targets; what it said before still counts.
    """
    actor, target = model.config.actor_token_id, model.config.target_token_id
    open_target = False
    for position in range(start, len(ids)):
        if ids[position] == actor:
            open_target = True
        elif ids[position] == target:
            if not open_target:
                return ids[:position]
            open_target = False
    return ids
