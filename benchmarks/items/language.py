"""The language model: reading a video, answering, and what a capture reads of an answer."""

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.items.setting import Bench
from benchmarks.timing import seconds_of
from probes.capture import _Look, _look, _Session, _view
from probes.criteria import head_metrics, sink_patches
from probes.gradients import read_with_gradients
from probes.hidden_norms import record_hidden_norms
from reviosa.data.prompts import answer
from reviosa.inference import VideoFeatures
from reviosa.inference.opening import generate, read_opening
from reviosa.model import record_attention

__all__ = ["measure_answer", "measure_criteria", "measure_recording"]


@torch.inference_mode()
def measure_answer(bench: Bench) -> dict[str, Any]:
    """Seconds to read a video's frames, to answer and to read the finished conversation.

    Answers are timed one at a time and eight at a time; seconds are of the whole batch.
    """
    model, processor, segmenter = bench.model, bench.processor, bench.segmenter
    features = segmenter.encode(bench.samples[0].video)
    frames = len(features.frame_indices)
    vision = torch.zeros(
        1, frames * model.config.grid**2, model.config.get_text_config().hidden_size
    ).to(model.device, model.dtype)
    asked = _conversations(bench, features, None)
    whole = _conversations(bench, features, answer(True))
    found: dict[str, Any] = {
        "opening_s": seconds_of(lambda: read_opening(model, processor, vision, frames), rounds=5),
        "opening_tokens": features.opening.ids.shape[1],
        "conversation_tokens": len(whole[0]),
        "answer_s": {}, "answer_tokens": {}, "read_s": {},
    }  # fmt: skip
    for count in (1, 8):
        replies = generate(model, processor, features.opening, asked[:count])
        long = max(len(r) - len(a) for r, a in zip(replies, asked, strict=False))
        found["answer_tokens"][str(count)] = long
        found["answer_s"][str(count)] = seconds_of(
            lambda count=count: generate(model, processor, features.opening, asked[:count]),
            rounds=3,
        )
        found["read_s"][str(count)] = seconds_of(
            lambda count=count: segmenter.read(features, whole[:count]), rounds=5
        )
    return found


def _conversations(bench: Bench, features: VideoFeatures, reply: str | None) -> list[list[int]]:
    frames = len(features.frame_indices)
    texts = [sample.expression.text for sample in bench.samples]
    return [bench.processor.conversation([t], [reply], frames)[0] for t in (texts * 8)[:8]]


@torch.inference_mode()
def measure_recording(bench: Bench) -> dict[str, Any]:
    """Seconds of what a capture reads of one conversation: rows, blank frames, gradients."""
    session, features, ids = _reading(bench)
    sample = bench.samples[0]
    blank = session.blank.outputs(features, ids)
    return {
        "recorded_s": seconds_of(lambda: _recorded(session, features, ids, None, sample), rounds=5),
        "gradients_s": seconds_of(
            lambda: _recorded(session, features, ids, blank, sample), rounds=5
        ),
        "blank_s": seconds_of(lambda: session.blank.outputs(features, ids), rounds=5),
    }


@torch.inference_mode()
def measure_criteria(bench: Bench) -> dict[str, Any]:
    """Seconds of the processor to score all heads of one role, with and without gradients."""
    session, features, ids = _reading(bench)
    sample = bench.samples[0]
    with record_hidden_norms(bench.model) as norms:
        bench.segmenter.encode(sample.video)
    is_patch = features.opening.ids[0] == bench.model.config.image_token_id
    sinks = sink_patches(torch.stack([x[0, is_patch] for x in norms]).cpu().numpy())
    shape = (len(features.frame_indices), session.grid, session.grid)
    blank = session.blank.outputs(features, ids)
    found = {}
    for name, taken in (("criteria_s", None), ("criteria_gradients_s", blank)):
        look = _recorded(session, features, ids, taken, sample)
        view = _view(session, look, sample, 0, shape, sinks)
        found[name] = seconds_of(lambda view=view: head_metrics(view), rounds=3)
    return found


def _reading(bench: Bench) -> tuple[_Session, VideoFeatures, list[int]]:
    session = _Session(bench.segmenter, bench.pairs, True)
    features = session.segmenter.encode(bench.samples[0].video)
    return session, features, _conversations(bench, features, answer(True))[0]


def _recorded(
    session: _Session, features: VideoFeatures, ids: Sequence[int], blank: Any, sample: Any
) -> _Look:
    """As a capture does it, off to the processor."""
    segmenter = session.segmenter
    tokens = segmenter.role_tokens(features, ids)
    asked = torch.tensor([(*tokens, len(ids) - 1)])
    with record_attention(
        segmenter.model, asked, session.key_grid, cached_ids=features.opening.ids
    ) as record:
        if blank is None:
            segmenter.read(features, [ids])
            written = (None, None)
        else:
            _, written = read_with_gradients(segmenter, features, sample, ids, blank)
    return _look(record, tokens, written, bool(session.pairs))
