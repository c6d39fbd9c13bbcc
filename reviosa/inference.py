"""Video and expression in; actor track, target track and the model's answer out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from reviosa.data.prompts import answer, ask_for_target
from reviosa.data.records import VideoSample
from reviosa.errors import DataError
from reviosa.evaluation import encode_prediction
from reviosa.model import ReviosaModel, ReviosaOutput, ReviosaProcessor
from reviosa.model.segmenter import FrameFeatures, encode_frames
from reviosa.model.tracker import MemoryTracker

__all__ = [
    "Answer",
    "SegmentationResult",
    "Segmenter",
    "VideoFeatures",
    "predict",
    "uniform_frames",
]

_ENCODED_AT_ONCE = 8


def uniform_frames(num_frames: int, wanted: int) -> tuple[int, ...]:
    """Indices of ``wanted`` frames at the middles of equal parts; all where there are fewer.

    ``uniform_frames(16, 4)`` is ``(2, 6, 10, 14)``.
    """
    if num_frames <= wanted:
        return tuple(range(num_frames))
    return tuple((2 * i + 1) * num_frames // (2 * wanted) for i in range(wanted))


@dataclass(frozen=True)
class SegmentationResult:
    """What the model made of one expression."""

    text: str
    """Its answer, role tokens included."""
    masks: tuple[np.ndarray | None, np.ndarray | None]
    """Actor and target, bool [frame, height, width] of the whole video; None where not named."""
    frame_indices: tuple[int, ...]
    """Frames that the language model saw."""
    input_ids: tuple[int, ...]
    """The whole conversation, question and answer, as token ids."""
    babble: str | None = None
    """What the model had said by itself, where that named no role; see :meth:`Segmenter.answer`."""

    @property
    def actor(self) -> np.ndarray | None:
        """Masks of the actor, bool [frame, height, width]."""
        return self.masks[0]

    @property
    def target(self) -> np.ndarray | None:
        """Masks of the target, bool [frame, height, width]; None where none was named."""
        return self.masks[1]


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
    """What all expressions about one video share: computed once, used by each."""

    image_features: Tensor
    """Projected patches of the seen frames, [1, frame * patch, hidden]."""
    sam: tuple[FrameFeatures, ...]
    """SAM2's features of every frame of the video, one frame each."""
    frame_indices: tuple[int, ...]
    size: tuple[int, int]
    """Height and width of the video in pixels."""


class Segmenter:
    """Runs a model on videos; several expressions of one video share its visual features."""

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        self.model, self.processor = model, processor

    @torch.inference_mode()
    def encode(self, frames: np.ndarray) -> VideoFeatures:
        """Compute the visual features of a video, uint8 [frame, height, width, 3].

        Raises:
            DataError: the frames are no uint8 video, or there are none.
        """
        if not len(frames):
            raise DataError("got a video of no frames, expected at least one; check the folder")
        model, device = self.model.eval(), self.model.device
        seen = uniform_frames(len(frames), model.config.num_frames)
        pixels = self.processor.vision_frames(frames[list(seen)])
        image_features = model.image_features(pixels[None].to(device, model.dtype))
        sam: list[FrameFeatures] = []
        for start in range(0, len(frames), _ENCODED_AT_ONCE):
            part = self.processor.sam_frames(frames[start : start + _ENCODED_AT_ONCE])
            encoded = encode_frames(model.sam2, part.to(device, model.dtype))
            sam += [encoded.take(torch.tensor([i])) for i in range(len(part))]
        return VideoFeatures(image_features, tuple(sam), seen, frames.shape[1:3])

    @torch.inference_mode()
    def answer(self, features: VideoFeatures, expression: str) -> Answer:
        """Let the model answer; an answer that names no role is put into form.

        Far from its training data a model may babble. It is then given the beginning that both
        proper answers share, up to the actor's token, and decides how that goes on: by ending, or
        by naming a target.

        Raises:
            DataError: the expression is empty.
        """
        processor, device = self.processor, self.model.device
        ids, _ = processor.conversation([expression], [None], len(features.frame_indices))
        prompt = torch.tensor([ids], device=device)
        # transformers types generate() by a protocol that no plain model meets.
        generated = self.model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            image_features=features.image_features,
            max_new_tokens=self.model.config.max_new_tokens,
            do_sample=False,
            eos_token_id=processor.tokenizer.eos_token_id,
            pad_token_id=processor.tokenizer.pad_token_id,
        )
        text = processor.decode(generated[0, len(ids) :])
        whole = _well_formed(generated[0].tolist(), len(ids), self.model)
        if self.model.config.actor_token_id in whole[len(ids) :]:
            return Answer(whole, text, None)
        whole = self._in_form(features, expression)
        return Answer(whole, processor.decode(whole[len(ids) :]), text)

    def _in_form(self, features: VideoFeatures, expression: str) -> list[int]:
        """The conversation with that proper answer which the model finds likelier."""
        frames = len(features.frame_indices)
        one, two = (
            self.processor.conversation([expression], [answer(target)], frames)[0]
            for target in (False, True)
        )
        fork = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
        scores = self.read(features, one[:fork]).logits
        assert scores is not None
        return two if scores[0, -1, two[fork]] > scores[0, -1, one[fork]] else one

    @torch.inference_mode()
    def segment(self, frames: np.ndarray, expression: str) -> SegmentationResult:
        """Segment actor and target of ``expression`` in ``frames``.

        Args:
            frames: uint8 [frame, height, width, 3].
            expression: a phrase such as "a rider jumping a horse".

        Raises:
            DataError: the expression is empty or the frames are no uint8 video.
        """
        return self.segment_encoded(self.encode(frames), [expression])[0]

    @torch.inference_mode()
    def segment_encoded(
        self, features: VideoFeatures, expressions: Sequence[str]
    ) -> list[SegmentationResult]:
        """As :meth:`segment`, of several expressions and on features that are at hand.

        Raises:
            TypeError: ``expressions`` is a single text.
        """
        if isinstance(expressions, str):
            raise TypeError("expressions is a text; give a list of texts")
        replies = [self.answer(features, expression) for expression in expressions]
        return self.finish(features, replies, [self.read(features, r.ids) for r in replies])

    @torch.inference_mode()
    def finish(
        self, features: VideoFeatures, replies: Sequence[Answer], outputs: Sequence[ReviosaOutput]
    ) -> list[SegmentationResult]:
        """Turn the role prompts of conversations that were read into masks of the whole video.

        All roles of all conversations are tracked side by side.
        """
        chosen: list[Tensor] = []
        places: list[list[int | None]] = []
        for output in outputs:
            of_roles: list[int | None] = [None, None]
            if output.prompts is not None and len(output.prompts):
                # The first actor and the first target count (REVIOSA.md 4.2).
                for role in (0, 1):
                    found = ((output.prompt_row == 0) & (output.prompt_role == role)).nonzero()
                    if len(found):
                        of_roles[role] = len(chosen)
                        chosen.append(output.prompts[int(found[0])])
            places.append(of_roles)
        tracked = self.track(features, torch.stack(chosen)) if chosen else np.zeros((0,))
        return [
            SegmentationResult(
                reply.text,
                (
                    None if actor is None else tracked[actor],
                    None if target is None else tracked[target],
                ),
                features.frame_indices,
                tuple(reply.ids),
                reply.babble,
            )
            for reply, (actor, target) in zip(replies, places, strict=True)
        ]

    def read(self, features: VideoFeatures, ids: list[int]) -> ReviosaOutput:
        """One forward pass over a finished conversation; its output holds the role prompts."""
        input_ids = torch.tensor([ids], device=self.model.device)
        return self.model(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            image_features=features.image_features,
            logits_to_keep=1,
        )

    def track(self, features: VideoFeatures, prompts: Tensor) -> np.ndarray:
        """Masks of each prompt on every frame, bool [prompt, frame, height, width].

        The frames the language model saw are segmented from the prompt, the others from SAM2's
        memory. All prompts share each frame's features.
        """
        count, total = len(prompts), len(features.sam)
        tracker = MemoryTracker(self.model.sam2, total)
        repeat = torch.zeros(count, dtype=torch.int64, device=prompts.device)
        masks = np.zeros((count, total, *features.size), dtype=bool)

        def keep(frame: int, logits: Tensor) -> None:
            full = interpolate(logits[:, None], features.size, mode="bilinear", align_corners=False)
            masks[:, frame] = (full[:, 0] > 0).cpu().numpy()

        for frame in features.frame_indices:
            decoded = tracker.condition(frame, features.sam[frame].take(repeat), prompts)
            keep(frame, decoded.masks())
        # From the first seen frame back to the start, then on to the end.
        first = min(features.frame_indices)
        for frame in (*reversed(range(first)), *range(first + 1, total)):
            if frame not in features.frame_indices:
                view = features.sam[frame].take(repeat)
                keep(frame, tracker.track(frame, view, reverse=frame < first).masks())
        return masks


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


def predict(
    segmenter: Segmenter, samples: Iterable[VideoSample], target_by_prompt: bool = False
) -> dict[str, dict[str, dict[str, Any]]]:
    """Predictions of many samples in the release's form (EVALUATION.md, Formats).

    Samples of one video that follow each other share its features and are tracked together.

    Args:
        segmenter: the model.
        samples: what to ask.
        target_by_prompt: take the target from the first mask of a second question,
            :func:`~reviosa.data.prompts.ask_for_target`, asked of interactions: how the paper's
            Table 4 tries models that know one token alone.
    """
    predictions: dict[str, dict[str, dict[str, Any]]] = {}
    for video_id, group in groupby(samples, key=lambda sample: sample.video.video_id):
        of_video = list(group)
        features = segmenter.encode(of_video[0].video.read_frames())
        results = segmenter.segment_encoded(features, [s.expression.text for s in of_video])
        if target_by_prompt:
            results = _targets_by_prompt(segmenter, features, of_video, results)
        predictions.setdefault(video_id, {}).update(
            (sample.expression.exp_id, prediction_record(sample, result))
            for sample, result in zip(of_video, results, strict=True)
        )
    return predictions


def _targets_by_prompt(
    segmenter: Segmenter,
    features: VideoFeatures,
    samples: Sequence[VideoSample],
    results: Sequence[SegmentationResult],
) -> list[SegmentationResult]:
    acting = [i for i, sample in enumerate(samples) if sample.expression.is_interaction]
    asked = [ask_for_target(samples[i].expression.text) for i in acting]
    found = dict(zip(acting, segmenter.segment_encoded(features, asked), strict=True))
    return [
        replace(result, masks=(result.actor, found[i].actor if i in found else None))
        for i, result in enumerate(results)
    ]


def prediction_record(sample: VideoSample, result: SegmentationResult) -> dict[str, Any]:
    """One entry of a predictions file; a role that was not named has an empty list.

    ``babble`` is there only where the model named no role by itself.
    """
    names = sample.video.frame_names
    record = encode_prediction(
        sample.expression.text, names, result.text, result.actor, result.target
    )
    return record if result.babble is None else {**record, "babble": result.babble}
