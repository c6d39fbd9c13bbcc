"""Measure, expression by expression, where the model's answer is decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probes.lens.bridge import Conversation, Lens, conversations
from probes.lens.readout import attribute, logit_lens
from probes.lens.results import LINES_FILE, read_lines
from reviosa.data.dataset import VideoDataset
from reviosa.data.prompts import answer
from reviosa.data.records import VideoSample
from reviosa.inference import Answer, Segmenter, VideoFeatures
from reviosa.io import append_jsonl
from reviosa.model import ReviosaModel, ReviosaProcessor, record_role_attention
from reviosa.run_record import open_run

__all__ = ["Site", "fork_tokens", "measure", "sites_of"]


@dataclass(frozen=True)
class Site:
    """A place in an answer where the next token is looked at."""

    name: str
    """``actor``, ``target`` or ``fork``."""
    position: int
    """The token whose state is read."""
    token: int
    """The next token that is looked at."""


def fork_tokens(segmenter: Segmenter) -> tuple[int, int]:
    """What follows the actor's token in an answer that names a target, and in one that does not."""
    one, two = (
        segmenter.processor.conversation(["anything"], [answer(has_target)], 1)[0]
        for has_target in (True, False)
    )
    return next((a, b) for a, b in zip(one, two, strict=False) if a != b)


def sites_of(
    conversation: Conversation, actor_token: int, target_token: int, goes_on: int
) -> tuple[Site, ...]:
    """Where a conversation's role tokens are decided.

    ``actor`` and ``target`` are the tokens before the role tokens. ``fork`` is the actor's token
    itself: from there the answer goes on to a target ("and") or ends. That is where an interaction
    is told from none, in all expressions at the same place; at ``target``, after the "and", there
    is little left to decide.
    """
    sites = [
        Site("actor", conversation.actor - 1, actor_token),
        Site("fork", conversation.actor, goes_on),
    ]
    if conversation.target is not None:
        sites.append(Site("target", conversation.target - 1, target_token))
    return tuple(sites)


def measure(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    dataset: VideoDataset,
    directory: str | Path,
    identity: dict | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Logit lens and direct logit attribution of every expression's answer.

    Args:
        model: the model; a copy of its language model is read, itself it only answers.
        processor: its processor.
        dataset: expressions.
        directory: run directory; ``lens.jsonl`` in it has a line an expression.
        identity: what the run's header says of the model.
        resume: go on with a run that was stopped.
        progress: called with (expressions done, expressions).

    Raises:
        RunError: the directory holds another run.
    """
    directory, samples = Path(directory), dataset.samples
    config = model.config
    settings = {"samples": len(samples), "layers": config.num_layers, "heads": config.num_heads}
    with open_run(directory, "lens", settings, None, dataset.provenance, identity, resume):
        done = {line["sample_id"] for line in read_lines(directory)}
        todo = [sample for sample in samples if sample.expression.sample_id not in done]
        count = len(samples) - len(todo)
        if not todo:
            return directory / LINES_FILE
        segmenter, lens = Segmenter(model, processor), Lens(model)
        fork = fork_tokens(segmenter)
        for _, group in groupby(todo, key=lambda sample: sample.video.video_id):
            of_video = list(group)
            features = segmenter.encode(of_video[0].video)
            replies = segmenter.answer(features, [s.expression.text for s in of_video])
            talks = conversations(segmenter, features, replies)
            for sample, reply, talk in zip(of_video, replies, talks, strict=True):
                line = _line(segmenter, lens, features, sample, reply, talk, fork)
                append_jsonl(directory / LINES_FILE, line)
                count += 1
                if progress is not None:
                    progress(count, len(samples))
    return directory / LINES_FILE


@torch.inference_mode()
def _line(
    segmenter: Segmenter,
    lens: Lens,
    features: VideoFeatures,
    sample: VideoSample,
    reply: Answer,
    talk: Conversation,
    fork: tuple[int, int],
) -> dict[str, Any]:
    config = segmenter.model.config
    goes_on, end = fork
    sites = sites_of(talk, config.actor_token_id, config.target_token_id, goes_on)
    last = len(talk.ids) - 1
    rows = sorted({last, *talk.roles, *(site.position for site in sites)})
    blocks = [f"blocks.{layer}" for layer in range(config.num_layers)]
    states = ["blocks.0.hook_resid_pre", *(f"{block}.hook_resid_post" for block in blocks)]
    z = [f"{block}.attn.hook_z" for block in blocks]
    mlps = [f"{block}.hook_mlp_out" for block in blocks]
    patterns = [f"{block}.attn.hook_pattern" for block in blocks]
    logits, cache = lens.run_with_cache(talk, [*states, *z, *mlps, *patterns], rows)

    at = [rows.index(site.position) for site in sites]

    def stacked(names: Sequence[str]) -> Tensor:
        return torch.stack([cache[name][at] for name in names])

    tokens = torch.tensor([site.token for site in sites], device=logits.device)
    ends = torch.full_like(tokens, end)
    lensed, rivals = logit_lens(stacked(states), lens.unembedding, tokens, ends)
    # At the fork two tokens compete; the role tokens are held against whatever is next best.
    against = torch.where(tokens == goes_on, ends, rivals)
    parts = attribute(
        stacked(states), stacked(z), stacked(mlps), lens.output_projections, lens.unembedding,
        tokens, against,
    )  # fmt: skip
    at_roles = [rows.index(position) for position in talk.roles]
    seen = torch.stack([cache[name][:, at_roles] for name in patterns])  # [layer, head, role, key]
    own_rows, own_scores = _own_numbers(segmenter, features, talk)
    return {
        "sample_id": sample.expression.sample_id,
        "video_id": sample.expression.video_id,
        "interaction": sample.expression.is_interaction,
        "names_target": talk.target is not None,
        "put_into_form": reply.babble is not None,
        "pattern_difference": float((seen - own_rows).abs().max()),
        "logit_difference": float((logits[rows.index(last)] - own_scores).abs().max()),
        "sites": {
            site.name: {
                "position": site.position,
                "token": site.token,
                "against": int(against[index]),
                "probability": _listed(lensed.probability[:, index]),
                "rank": _listed(lensed.rank[:, index]),
                "over_rival": _listed(lensed.over_rival[:, index]),
                "over_end": _listed(lensed.over_end[:, index]),
                "total": _listed(parts.total[index]),
                "embedding": _listed(parts.embedding[index]),
                "heads": _listed(parts.heads[index]),
                "mlps": _listed(parts.mlps[index]),
                "remainder": float(parts.remainder[index]),
            }
            for index, site in enumerate(sites)
        },
    }


def _own_numbers(
    segmenter: Segmenter, features: VideoFeatures, talk: Conversation
) -> tuple[Tensor, Tensor]:
    """What the model itself gives, as the capture reads it: what the copy must agree with.

    Returns:
        attention of the role tokens [layer, head, role, key], scores after the last token.
    """
    with record_role_attention(segmenter.model, cached_ids=features.opening.ids) as record:
        output = segmenter.read(features, [talk.ids])
    present = record.roles.present
    rows = (0, int(present[:, 1].int().argmax()))[: len(talk.roles)]
    attention = torch.stack([record.attention[row, role] for role, row in enumerate(rows)], dim=2)
    assert output.logits is not None
    return attention, output.logits[0]


def _listed(values: Tensor) -> Any:
    """As JSON numbers of seven digits, which is what float32 holds."""
    if values.dim() == 0:
        return float(f"{float(values):.7g}")
    return [_listed(value) for value in values]
