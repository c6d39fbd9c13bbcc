"""ReviosaProcessor: frames and expressions in, tensors for the model out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from reviosa.data.prompts import (
    ACTOR_TOKEN,
    CHAT_TEMPLATES,
    QUESTIONS,
    TARGET_TOKEN,
    answer,
    question,
)
from reviosa.errors import ConfigError, DataError
from reviosa.model.config import ReviosaConfig

__all__ = ["ReviosaProcessor", "normalise", "squash_frames"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IGNORED = -100


class ReviosaProcessor(ProcessorMixin):
    """Tokenizer and image geometry of one ReVIOSa checkpoint.

    A frame is written ``<img>``, one ``<IMG_CONTEXT>`` a patch, ``</img>``; frames are separated by
    line breaks; turns follow one of the release's chat templates (REVIOSA.md 1.2, 1.4).

    Args:
        tokenizer: knows the role tokens and the marks of images.
        image_size: side in pixels of the square frames that the vision tower sees.
        sam_image_size: the same for SAM2.
        grid: patches along one side of a frame.
        template: name of a :data:`~reviosa.data.prompts.CHAT_TEMPLATES`.
        wording: name of a :data:`~reviosa.data.prompts.QUESTIONS`.
        sam_resampling: how frames are brought to SAM2's size, ``bilinear`` as the nano model
            learned it or ``bicubic`` as SAM2's own code and the release do it.
        chat_template: of transformers; not used.

    Raises:
        ConfigError: no template, wording or resampling has this name.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None = None,
        image_size: int = 128,
        sam_image_size: int = 128,
        grid: int = 8,
        template: str = "qwen_chat",
        wording: str = "paper",
        sam_resampling: str = "bilinear",
        chat_template: str | None = None,
    ) -> None:
        super().__init__(tokenizer, chat_template=chat_template)
        for kind, name, known in (
            ("chat template", template, CHAT_TEMPLATES),
            ("wording", wording, QUESTIONS),
            ("resampling", sam_resampling, ("bilinear", "bicubic")),
        ):
            if name not in known:
                raise ConfigError(f"no {kind} is called {name!r}; choose one of {', '.join(known)}")
        self.template, self.wording = template, wording
        self.sam_resampling = sam_resampling
        self.image_size, self.sam_image_size, self.grid = image_size, sam_image_size, grid

    @classmethod
    def for_config(
        cls, config: ReviosaConfig, tokenizer: PreTrainedTokenizerBase, **options: str
    ) -> "ReviosaProcessor":
        """The processor that fits ``config``.

        Args:
            config: gives sizes and token ids.
            tokenizer: of the same checkpoint.
            options: ``template``, ``wording``, ``sam_resampling``.

        Raises:
            ConfigError: the tokenizer gives a special token another id than the model expects.
        """
        expected = {
            ACTOR_TOKEN: config.actor_token_id,
            TARGET_TOKEN: config.target_token_id,
            "<IMG_CONTEXT>": config.image_token_id,
        }
        for token, identity in expected.items():
            found = tokenizer.convert_tokens_to_ids(token)
            if found != identity:
                raise ConfigError(
                    f"the tokenizer gives {token} the id {found}, the model expects {identity}; "
                    "load both from the same checkpoint"
                )
        sam_size = (config.sam2_overrides or {}).get("image_size", 1024)
        return cls(tokenizer, config.image_size, sam_size, config.grid, **options)

    def squash(self, frames: np.ndarray) -> dict[str, Tensor]:
        """Frames at the sizes of the vision tower and of SAM2, not normalised yet.

        Args:
            frames: uint8 [frame, height, width, 3].

        Returns:
            ``pixel_values`` and ``sam_pixel_values``, uint8 [frame, 3, size, size] each, for
            :func:`normalise`: a quarter of the memory until they are used.

        Raises:
            DataError: the array has another type or shape.
        """
        return {
            "pixel_values": self.squash_for_vision(frames),
            "sam_pixel_values": self.squash_for_sam(frames),
        }

    def squash_for_vision(self, frames: np.ndarray) -> Tensor:
        """Frames, uint8 [frame, height, width, 3], at the vision tower's size: not normalised.

        Returns:
            uint8 [frame, 3, image_size, image_size], bicubic as InternVL's squash.

        Raises:
            DataError: the array has another type or shape.
        """
        return squash_frames(frames, self.image_size, "bicubic")

    def squash_for_sam(self, frames: np.ndarray) -> Tensor:
        """As :meth:`squash_for_vision`, at SAM2's size: uint8 [frame, 3, size, size]."""
        return squash_frames(frames, self.sam_image_size, self.sam_resampling)

    def vision_frames(self, frames: np.ndarray) -> Tensor:
        """Squash frames, uint8 [frame, height, width, 3], for the vision tower and normalise.

        Returns:
            [frame, 3, image_size, image_size], bicubic as InternVL's squash.

        Raises:
            DataError: the array has another type or shape.
        """
        return normalise(self.squash_for_vision(frames))

    def sam_frames(self, frames: np.ndarray) -> Tensor:
        """Squash frames for SAM2 and normalise: [frame, 3, sam_image_size, sam_image_size].

        Raises:
            DataError: the array has another type or shape.
        """
        return normalise(self.squash_for_sam(frames))

    def conversation(
        self,
        expressions: Sequence[str],
        answers: Sequence[str | None],
        num_frames: int,
        as_they_are: bool = False,
    ) -> tuple[list[int], list[int]]:
        """Token ids of a conversation about one video, and its labels.

        Args:
            expressions: one a turn.
            answers: the answer of each turn; the last may be None, to be generated.
            num_frames: frames shown in the first turn.
            as_they_are: ``expressions`` are whole questions, and the first follows the frames
                without a line break, as in the release's training.

        Returns:
            ids and labels; labels are the ids of the answers with their end marks, else -100.
        """
        marks, wording = CHAT_TEMPLATES[self.template], QUESTIONS[self.wording]
        frame = "<img>" + "<IMG_CONTEXT>" * self.grid**2 + "</img>"
        ids: list[int] = []
        labels: list[int] = []
        for turn, (expression, reply) in enumerate(zip(expressions, answers, strict=True)):
            shown = "\n".join([frame] * num_frames) if turn == 0 else ""
            opening = "" if turn == 0 else "\n"
            if as_they_are:
                words = expression
            else:
                words = ("\n" if turn == 0 else "") + question(expression, wording)
            asked = f"{opening}{marks.before_question}{shown}{words}"
            prompt = self._ids(asked + marks.before_answer)
            replied = [] if reply is None else self._ids(reply + marks.after_answer)
            ids += prompt + replied
            labels += [IGNORED] * len(prompt) + replied
        return ids, labels

    def __call__(
        self,
        frames: np.ndarray,
        expressions: str | Sequence[str],
        answers: Sequence[str | None] | None = None,
        has_target: Sequence[bool] | None = None,
    ) -> BatchFeature:
        """One conversation about one video, as a batch of one.

        Args:
            frames: uint8 [frame, height, width, 3], the frames the language model sees.
            expressions: one, or several to be asked in turn.
            answers: the answers as text; None leaves the last one open.
            has_target: in place of ``answers``, whether each expression has a target.

        Raises:
            DataError: an expression is empty, or the frames are no uint8 video.
        """
        expressions = [expressions] if isinstance(expressions, str) else list(expressions)
        if has_target is not None:
            answers = [answer(x) for x in has_target]
        elif answers is None:
            answers = [None] * len(expressions)
        ids, labels = self.conversation(expressions, answers, len(frames))
        pixels = {name: normalise(value)[None] for name, value in self.squash(frames).items()}
        return BatchFeature(
            {
                "input_ids": torch.tensor([ids]),
                "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
                "labels": torch.tensor([labels]),
                **pixels,
            }
        )

    def pad(
        self, sequences: Sequence[Sequence[int]], value: int | None = None, left: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Pad to the longest; return ids and attention mask, both int64 [batch, token]."""
        value = self.tokenizer.pad_token_id if value is None else value
        length = max(len(x) for x in sequences)
        ids = torch.full((len(sequences), length), value, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            place = slice(length - len(sequence), None) if left else slice(0, len(sequence))
            ids[row, place] = torch.tensor(sequence, dtype=torch.int64)
            mask[row, place] = 1
        return ids, mask

    def decode(self, ids: Any, **kwargs: Any) -> str:
        """Text of generated ids, without the template's marks but with the role tokens."""
        text = self.tokenizer.decode(ids, skip_special_tokens=False)
        text = text.split(CHAT_TEMPLATES[self.template].after_answer)[0]
        for mark in ("<|im_start|>", self.tokenizer.pad_token):
            text = text.replace(mark, "")
        return " ".join(text.split()).replace(" .", ".").replace(" ,", ",")

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def normalise(pixels: Tensor) -> Tensor:
    """Grey levels 0 to 255, [..., 3, height, width], as ImageNet's models take them, in fp32."""
    mean, std = (torch.tensor(x, device=pixels.device).view(3, 1, 1) for x in (_MEAN, _STD))
    return (pixels.float() / 255 - mean) / std


def squash_frames(frames: np.ndarray, size: int, mode: str) -> Tensor:
    """Resize to a square without keeping the aspect: uint8 [frame, 3, size, size].

    Args:
        frames: uint8 [frame, height, width, 3].
        size: of the square's side in pixels.
        mode: ``bilinear`` or ``bicubic``.

    Raises:
        DataError: the array has another type or shape.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise DataError(
            f"got frames of type {frames.dtype} and shape {list(frames.shape)}, expected uint8 "
            "[frame, height, width, 3]; decode the video to RGB first"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    if pixels.shape[-2:] == (size, size):
        return pixels
    # In whole numbers, as Pillow does it: what bicubic overshoots is cut after each direction.
    return interpolate(pixels, (size, size), mode=mode, antialias=True)
