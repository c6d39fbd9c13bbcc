"""Conversations about synthetic clips, with all that is known of what they speak of."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.prompts import answer
from reviosa.data.records import Expression
from reviosa.data.synthetic.lexicon import GRAMMAR_WORDS, names_a_look
from reviosa.losses import pool_masks
from reviosa.model import ReviosaProcessor
from reviosa.model.processor import IGNORED
from reviosa.training.data import sample_expressions, sample_frames
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank, cell_owners, count_objects
from reviosa.training.nano.segment import tracked_frames
from reviosa.training.nano.watch import WatchTargets, watch_targets

__all__ = ["Conversations", "estranged", "mirrored", "with_strange_words", "with_unknown_words"]

_FORM = {*GRAMMAR_WORDS, "being", "by", "each", "other", "that", "to", "from", "over", "into"}
"""Words that give a sentence its form."""


class Conversations:
    """Draws batches of conversations from a clip bank; a step's batch depends on its rng alone.

    Args:
        dataset: the data set that ``bank`` was made from; gives the expressions.
        bank: frames and objects.
        processor: of the model.
        frames: frames a conversation.
        expressions: turns a conversation.
        extra_frames: further frames that only SAM2 sees.
    """

    def __init__(
        self,
        dataset: InterRVOSDataset,
        bank: ClipBank,
        processor: ReviosaProcessor,
        frames: int,
        expressions: int,
        extra_frames: int = 0,
    ) -> None:
        self.videos, self.bank, self.processor = dataset.videos, bank, processor
        self.frames, self.expressions, self.extra = frames, expressions, extra_frames
        self._spoken = [i for i, video in enumerate(dataset.videos) if video.expressions]

    def batch(
        self, rng: np.random.Generator, size: int
    ) -> tuple[dict[str, Tensor], WatchTargets, list[int]]:
        """Draw ``size`` conversations about the same moments of as many videos.

        Returns:
            a batch of tensors: ``input_ids``, ``attention_mask``, ``labels`` [batch, token];
            ``pixel_values`` [batch, frame, 3, height, width] and ``sam_pixel_values`` of all
            frames, the further ones last; ``mask_targets`` [row, role, frame, size, size];
            ``cells`` [row, role, frame * cell]; ``looks`` int64 [row, role, attribute], -1 where
            the objects meant do not share an attribute or there are none.
            The truth for patches; the frame numbers.
        """
        processor, bank = self.processor, self.bank
        total = bank.frames.shape[1]
        moments = sample_frames(rng, total, self.frames)
        when = moments + tracked_frames(rng, total, moments, self.extra)
        items, watched = [], []
        for number in rng.choice(self._spoken, size):
            flipped = bool(rng.random() < 0.5)
            frames, labels = bank.clip(int(number), when, flipped)
            expressions = self.videos[number].expressions
            acting = [e.is_interaction for e in expressions]
            # One in eleven names no look, and what things do is harder to learn than how they look.
            blind = [not names_a_look(e.text) for e in expressions]
            drawn = sample_expressions(rng, acting, self.expressions, preferred=blind)
            chosen = [expressions[i] for i in drawn]
            texts = [estranged(rng, e.text) for e in chosen]
            texts = [mirrored(text) for text in texts] if flipped else texts
            replies = [answer(e.is_interaction) for e in chosen]
            ids, target_ids = processor.conversation(texts, replies, self.frames)
            looks, cells, masks = self._roles(chosen, int(number), labels)
            items.append((ids, target_ids, frames, looks, cells, masks))
            seen = labels[: self.frames]
            watched.append(watch_targets(bank, int(number), seen, processor.grid, flipped))
        ids, attention = processor.pad([x[0] for x in items])
        pixels = np.stack([x[2] for x in items])
        flat = pixels.reshape(-1, *pixels.shape[2:])
        seen = pixels[:, : self.frames].reshape(-1, *pixels.shape[2:])
        batch = {
            "input_ids": ids,
            "attention_mask": attention,
            "labels": processor.pad([x[1] for x in items], value=IGNORED)[0],
            "pixel_values": processor.vision_frames(seen).unflatten(0, (size, -1)),
            "sam_pixel_values": processor.sam_frames(flat).unflatten(0, (size, -1)),
            "looks": torch.from_numpy(np.concatenate([x[3] for x in items])),
            "cells": torch.from_numpy(np.concatenate([x[4] for x in items])),
            "mask_targets": torch.cat([x[5] for x in items]),
        }
        return batch, WatchTargets.stack(watched), when

    def _roles(
        self, chosen: Sequence[Expression], number: int, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """Looks [row, role, attribute], cells [row, role, frame * cell] and masks of the roles."""
        bank, grid = self.bank, self.processor.grid
        attributes = bank.attributes[number]
        _, cover = cell_owners(labels[: self.frames], grid, count_objects(attributes))
        looks = np.full((len(chosen), 2, len(ATTRIBUTES)), -1, np.int64)
        cells = np.zeros((len(chosen), 2, self.frames * grid * grid), np.float32)
        masks = np.zeros((len(chosen), 2, *labels.shape), bool)
        for row, expression in enumerate(chosen):
            for role, ids in enumerate((expression.actor_ids, expression.target_ids)):
                if not ids:
                    continue
                things = [bank.objects[number][i] for i in ids]
                shared = (attributes[things] == attributes[things[0]]).all(axis=0)
                looks[row, role, shared] = attributes[things[0], shared]
                cells[row, role] = cover[things].sum(axis=0).reshape(-1)
                masks[row, role] = np.isin(labels, np.array(things) + 1)
        size = self.processor.sam_image_size // 4
        return looks, cells, pool_masks(torch.from_numpy(masks), size)


def mirrored(text: str) -> str:
    """The expression for the video with left and right exchanged."""
    swap = {"left": "right", "right": "left"}
    return " ".join(swap.get(word, word) for word in text.split())


def estranged(rng: np.random.Generator, text: str) -> str:
    """Three in four as they are; the others with strange words added, or in place of known ones.

    Without them the model has never seen the letters in which words of the real world are spelled,
    and cannot tell from the form of a sentence alone whether one thing acts on another.
    """
    roll = rng.random()
    if roll < 0.125:
        return with_strange_words(rng, text)
    return with_unknown_words(rng, text) if roll < 0.25 else text


def with_unknown_words(rng: np.random.Generator, text: str) -> str:
    """Looks, nouns, verbs and motions give way to words that the synthetic world does not know."""
    words = []
    for word in text.split():
        if word == "the" and rng.random() < 0.5:
            words.append("a")
        elif word in _FORM or rng.random() < 0.35:
            words.append(word)
        else:
            ending = "ing" if word.endswith("ing") else ""
            words.append(_letters(rng, int(rng.integers(2, 7))) + ending)
    return " ".join(words)


def _letters(rng: np.random.Generator, count: int) -> str:
    return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), count))


def with_strange_words(rng: np.random.Generator, text: str) -> str:
    """An expression with one to four words more that the synthetic world does not know."""
    words = text.split()
    for _ in range(int(rng.integers(1, 5))):
        word = _letters(rng, int(rng.integers(1, 9)))
        words.insert(int(rng.integers(0, len(words) + 1)), word)
    return " ".join(words)
