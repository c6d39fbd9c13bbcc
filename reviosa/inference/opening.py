"""Conversations about one video share its frames: they are read once, and all go on from there."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteriaList, StopStringCriteria

from reviosa.data.prompts import CHAT_TEMPLATES
from reviosa.model import ReviosaModel, ReviosaOutput, ReviosaProcessor

__all__ = ["Opening", "generate", "read_on", "read_opening"]


@dataclass(frozen=True)
class Opening:
    """The tokens up to the last patch of the last frame, read by the language model."""

    ids: Tensor
    """int64 [1, token]"""
    cache: Any
    """Their keys and values, of one sequence."""

    def continued(self, count: int) -> Any:
        """A cache for ``count`` conversations that go on from here."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(count)
        return cache


def read_opening(
    model: ReviosaModel, processor: ReviosaProcessor, image_features: Tensor, num_frames: int
) -> Opening:
    """Read the frames of a video.

    Args:
        model: the model.
        processor: its processor.
        image_features: of the frames, [1, frame * patch, hidden].
        num_frames: how many there are.
    """
    ids, _ = processor.conversation(["anything"], [None], num_frames)
    # Marks of images are special tokens: no word of a question can merge with them.
    end = max(i for i, token in enumerate(ids) if token == model.config.image_token_id) + 1
    opening = torch.tensor([ids[:end]], device=model.device)
    output = model(
        opening,
        attention_mask=torch.ones_like(opening),
        image_features=image_features,
        use_cache=True,
        logits_to_keep=1,
    )
    return Opening(opening, output.past_key_values)


def generate(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    opening: Opening,
    conversations: Sequence[Sequence[int]],
) -> list[list[int]]:
    """Let the model go on with each conversation, greedily, up to the mark that ends an answer.

    Args:
        model: the model.
        processor: its processor.
        opening: how all of them begin.
        conversations: token ids, each beginning with the opening.

    Returns:
        the conversations with their answers.
    """
    count, start = len(conversations), opening.ids.shape[1]
    # Shorter questions get their padding between the opening and themselves, where it is masked.
    asked, mask = processor.pad([c[start:] for c in conversations], left=True)
    device = model.device
    ids = torch.cat([opening.ids.expand(count, -1), asked.to(device)], dim=1)
    seen = torch.cat([torch.ones_like(ids[:, :start]), mask.to(device)], dim=1)
    tokenizer = processor.tokenizer
    stop = StoppingCriteriaList()
    end = CHAT_TEMPLATES[processor.template].after_answer
    if tokenizer.convert_tokens_to_ids(end) != tokenizer.eos_token_id:
        # The mark is plain text to this tokenizer, several tokens long.
        stop.append(StopStringCriteria(tokenizer, [end]))
    # transformers types generate() by a protocol that no plain model meets.
    answered = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
        input_ids=ids,
        attention_mask=seen,
        past_key_values=opening.continued(count),
        max_new_tokens=model.config.max_new_tokens,
        do_sample=False,
        # The release stops at Qwen's mark of the end of a text, too, which pads here.
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
        stopping_criteria=stop,
    )
    whole = []
    for conversation, row in zip(conversations, answered[:, ids.shape[1] :].tolist(), strict=True):
        # Those that ended before the last one were filled up.
        while row and row[-1] == tokenizer.pad_token_id:
            row.pop()
        whole.append([*conversation, *row])
    return whole


def read_on(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    opening: Opening,
    conversations: Sequence[Sequence[int]],
) -> ReviosaOutput:
    """One forward pass over conversations that begin with the opening.

    Returns:
        the model's output on what follows the opening. Its ``logits`` are the scores that follow
        the last token of each conversation, [conversation, vocabulary]; its prompts are those of
        the role tokens, ``row_sample`` says of which conversation.
    """
    start = opening.ids.shape[1]
    ids, mask = processor.pad([c[start:] for c in conversations])
    ids, mask = ids.to(model.device), mask.to(model.device)
    seen = torch.cat([torch.ones_like(opening.ids).expand(len(ids), -1), mask], dim=1)
    last = torch.zeros_like(mask, dtype=torch.bool)
    last[torch.arange(len(ids)), mask.sum(dim=1) - 1] = True
    return model(
        ids,
        attention_mask=seen,
        past_key_values=opening.continued(len(ids)),
        logit_positions=last,
        use_cache=True,
        find_prompts=True,
    )
