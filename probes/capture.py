"""Run a model over a data set and store what its role tokens attended to, sample by sample."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from probes.criteria import (
    SCORED,
    HeadOutputs,
    View,
    centrality,
    centre_share,
    head_metrics,
    mask_area,
    sink_patches,
)
from probes.gradients import BlankFrames, read_with_gradients
from probes.hidden_norms import record_hidden_norms
from probes.other_videos import MeanMaps, next_of_another_video
from probes.share import Shard, share
from probes.store import CaptureWriter, MapRow, SampleRow
from reviosa.data.dataset import VideoDataset
from reviosa.data.records import ROLES, VideoSample
from reviosa.evaluation import boundary_f, jaccard
from reviosa.features import FeatureStore, FrozenFeatures
from reviosa.heads import HeadSelection
from reviosa.inference import (
    RolePair,
    SegmentationResult,
    Segmenter,
    VideoFeatures,
    prediction_record,
    role_pairs,
)
from reviosa.losses import pool_masks
from reviosa.model import (
    AttentionRecord,
    ReviosaModel,
    ReviosaProcessor,
    record_attention,
)
from reviosa.model.roles import vision_grid
from reviosa.run_record import open_run

__all__ = ["CaptureSummary", "capture"]

MapChoice = Literal["none", "selected", "all"]
_CHUNK = 32


@dataclass(frozen=True)
class CaptureSummary:
    """How a capture ended."""

    samples: int
    """Expressions in the data set or its part, all of them captured now."""
    resumed: int
    """How many of them, at most, an earlier session had captured."""


@dataclass(frozen=True)
class _Captured:
    rows: list[SampleRow]
    metrics: list[dict[str, np.ndarray]]
    """Of each row, criterion by criterion."""
    truths: list[np.ndarray]
    """Pooled mask of each row, [patch]."""
    maps: list[MapRow]
    prediction: dict


def capture(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    dataset: VideoDataset,
    directory: str | Path,
    maps: MapChoice = "selected",
    heads: HeadSelection | None = None,
    identity: dict | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    gradients: bool = True,
    shard: Shard | None = None,
    store: FeatureStore | None = None,
) -> CaptureSummary:
    """Segment every expression, score it, and store the attention of its role tokens.

    The model answers freely; the attention is that of the role tokens it emitted, on the frames it
    saw. A role that has a truth but was not emitted is kept, with no attention and J&F of zero.

    Args:
        model: the model.
        processor: its processor.
        dataset: what to run over.
        directory: run directory; new, or one to be resumed.
        maps: which patch maps to keep: none, those of ``heads`` (or of the pairs the model was
            supervised on), or all.
        heads: the pairs of ``maps="selected"``.
        identity: what the run's header says of the model.
        resume: continue a capture that was stopped; nothing is lost or stored twice.
        progress: called with (expressions done, expressions) after each.
        gradients: also take the gradient of the mask loss at every head, and what heads write of
            blank frames, for the criteria that need them. On the nano model a capture takes 1.9
            times as long with them.
        shard: capture this part of the chunks alone; :func:`probes.shards.join_captures` puts the
            parts together.
        store: where features of frames are kept; no bit of the result depends on it.

    Raises:
        RunError: the directory holds another run, or another process writes to it.
        DataError: a frame cannot be read; what was captured so far stays and can be resumed.
    """
    config = model.config
    pairs = _pairs(model, maps, heads)
    settings = {
        "maps": maps,
        "pairs": [list(p) for p in pairs],
        "num_frames": config.num_frames,
        "chunk": _CHUNK,
        # A data set may be opened in part; its identity is that of the files.
        "samples": len(dataset.samples),
    }
    if not gradients:
        settings["gradients"] = False  # said where it is not as ever, so that old runs go on
    if shard is not None:
        settings["shard"] = list(shard)
    header = {
        **(identity or {}),
        "layers": config.num_layers,
        "heads": config.num_heads,
        "grid": config.grid,
        "supervised_pairs": config.aml_pairs or [],
    }
    with open_run(
        directory, "capture", settings, None, dataset.provenance, header, resume
    ) as record:
        writer = CaptureWriter(directory)
        done = writer.done_chunks()
        segmenter = Segmenter(model, processor, FrozenFeatures(processor, store))
        session = _Session(segmenter, pairs, gradients)
        samples = dataset.samples
        chunks = share(list(enumerate(range(0, len(samples), _CHUNK))), shard)
        total = sum(len(samples[start : start + _CHUNK]) for _, start in chunks)
        before = 0
        for chunk, start in chunks:
            part = samples[start : start + _CHUNK]
            if chunk not in done:
                tell = None if progress is None else partial(_tell, progress, before, total)
                found = _capture_part(session, part, tell)
                _write(writer, chunk, found, pairs, gradients)
            before += len(part)
            if progress is not None:
                progress(before, total)
        record.update(summary={"samples": len(samples), "videos": len(dataset.videos)})
    return CaptureSummary(total, len(done) * _CHUNK)


def _tell(progress: Callable[[int, int], None], start: int, total: int, done: int) -> None:
    progress(start + done, total)


class _Session:
    """What the chunks of one capture share."""

    def __init__(
        self, segmenter: Segmenter, pairs: Sequence[tuple[int, int]], gradients: bool
    ) -> None:
        self.segmenter, self.pairs, self.gradients = segmenter, pairs, gradients
        self.blank = BlankFrames(segmenter)
        self.grid = segmenter.model.config.grid
        self._words: dict[int, str] = {}

    def key_grid(self, ids: Tensor) -> Tensor:
        """Where the patches of a sequence lie, int64 [batch, token, 3]."""
        return vision_grid(ids, self.segmenter.model.config.image_token_id, self.grid)

    def tokens(self, ids: Sequence[int], is_vision: np.ndarray) -> tuple[str | int, ...]:
        """A sequence as it reads, with a number in place of so many vision tokens in a row."""
        found: list[str | int] = []
        for token, vision in zip(ids, is_vision, strict=True):
            if not vision:
                found.append(self._word(token))
            elif found and isinstance(found[-1], int):
                found[-1] += 1
            else:
                found.append(1)
        return tuple(found)

    def _word(self, token: int) -> str:
        if token not in self._words:
            tokenizer = self.segmenter.processor.tokenizer
            self._words[token] = tokenizer.decode([token], skip_special_tokens=False)
        return self._words[token]

    def pooled(self, sample: VideoSample, role: int) -> np.ndarray:
        """Truth on the frames that the language model sees, [patch]."""
        frames = list(self.segmenter.seen_in(sample.video))
        return pool_masks(torch.from_numpy(sample.masks(role, frames)), self.grid).flatten().numpy()


def _capture_part(
    session: _Session, part: Sequence[VideoSample], tell: Callable[[int], None] | None
) -> list[_Captured]:
    found: list[_Captured] = []
    means = MeanMaps()
    for _, group in groupby(range(len(part)), key=lambda index: part[index].video.video_id):
        found += _capture_video(session, part, list(group), means)
        if tell is not None:
            tell(len(found))
    for captured in found:
        for row, metrics, truth in zip(
            captured.rows, captured.metrics, captured.truths, strict=True
        ):
            typical = means.of_others(row.video_id, ROLES.index(row.role), len(truth))
            if row.emitted and typical is not None:
                shape = (len(row.frame_indices), session.grid, session.grid)
                view = View(typical, np.ones(len(truth), bool), shape, truth, typical=typical)
                metrics["mask_share_typical"] = SCORED["mask_share_typical"].score(view)
    return found


def _pairs(
    model: ReviosaModel, maps: MapChoice, heads: HeadSelection | None
) -> tuple[tuple[int, int], ...]:
    config = model.config
    if heads is not None:
        heads.validate(config.num_layers, config.num_heads)
    if maps == "none":
        return ()
    if maps == "all":
        return tuple((i, j) for i in range(config.num_layers) for j in range(config.num_heads))
    if heads is not None:
        return heads.pairs
    return tuple((int(i), int(j)) for i, j in config.aml_pairs or ())


@torch.inference_mode()
def _capture_video(
    session: _Session, part: Sequence[VideoSample], places: Sequence[int], means: MeanMaps
) -> list[_Captured]:
    """Expressions about one video share what the language model and SAM2 make of its frames."""
    segmenter, samples = session.segmenter, [part[place] for place in places]
    with record_hidden_norms(segmenter.model) as norms:
        features = segmenter.encode(samples[0].video)
    shape = (len(features.frame_indices), session.grid, session.grid)
    is_patch = features.opening.ids[0] == segmenter.model.config.image_token_id
    sinks = sink_patches(torch.stack([x[0, is_patch] for x in norms]).cpu().numpy())
    replies = segmenter.answer(features, [sample.expression.text for sample in samples])
    looks: list[_Look] = []
    prompts: list[RolePair] = []
    # One at a time: all rows of a conversation over all layers and heads are large.
    for sample, reply in zip(samples, replies, strict=True):
        tokens = segmenter.role_tokens(features, reply.ids)
        # Before the recording, which is of the pass over the true frames alone.
        blank = session.blank.outputs(features, reply.ids) if session.gradients else None
        asked = (*tokens, _any_token(sample, features, reply.ids, tokens))
        with record_attention(
            segmenter.model,
            torch.tensor([asked]),
            session.key_grid,
            cached_ids=features.opening.ids,
        ) as record:
            if blank is not None:
                output, written = read_with_gradients(segmenter, features, sample, reply.ids, blank)
            else:
                output, written = segmenter.read(features, [reply.ids]), (None, None)
        prompts += role_pairs(output, 1)
        looks.append(_look(record, reply.ids, tokens, written, bool(session.pairs)))
    results = segmenter.finish(features, replies, prompts)
    seen = [len(segmenter.seen_in(sample.video)) for sample in part]
    found = []
    for place, look, result in zip(places, looks, results, strict=True):
        sample = part[place]
        captured = _Captured([], [], [], [], prediction_record(sample, result))
        for role in (0, 1) if sample.expression.is_interaction else (0,):
            lender = next_of_another_video(part, place, role, seen)
            elsewhere = None if lender is None else session.pooled(lender, role)
            view = replace(_view(session, look, sample, role, shape, sinks), elsewhere=elsewhere)
            _capture_role(captured, view, look, result, sample, role, session)
            if captured.rows[-1].emitted:
                means.add(sample.video.video_id, role, view.patches)
        found.append(captured)
    return found


@dataclass(frozen=True)
class _Look:
    """What the role tokens of one conversation attended to, off the device."""

    ids: Sequence[int]
    """Question and answer, [key]."""
    attention: np.ndarray
    """float32 [role, layer, head, key]"""
    anywhere: np.ndarray
    """The same of a token drawn blindly, float32 [layer, head, key]."""
    is_vision: np.ndarray
    """bool [key]"""
    position: tuple[int, int]
    """Token position of each role; -1 where absent."""
    written: tuple[HeadOutputs | None, HeadOutputs | None]
    """What heads write at the actor's and the target's token, and its gradient."""
    maps: np.ndarray | None
    """float32 [role, layer, head, frame, row, column], where maps are kept."""


def _any_token(
    sample: VideoSample, features: VideoFeatures, ids: Sequence[int], tokens: Sequence[int]
) -> int:
    """A token behind the frames that is no role token, the same one whenever it is asked for."""
    others = [i for i in range(features.opening.ids.shape[1], len(ids)) if i not in tokens]
    return others[zlib.crc32(sample.expression.sample_id.encode()) % len(others)]


def _look(
    record: AttentionRecord,
    ids: Sequence[int],
    tokens: tuple[int, int],
    written: tuple[HeadOutputs | None, HeadOutputs | None],
    with_maps: bool,
) -> _Look:
    """Of the tokens whose masks count: the first actor and the first target that was named."""
    attention = record.attention[0].detach().cpu().numpy()
    maps = record.on_patches()[0, :2].detach().cpu().numpy() if with_maps else None
    is_vision = (record.vision_grid[0, :, 0] >= 0).cpu().numpy()
    return _Look(ids, attention[:2], attention[2], is_vision, tokens, written, maps)


def _view(
    session: _Session,
    look: _Look,
    sample: VideoSample,
    role: int,
    grid: tuple[int, int, int],
    sinks: np.ndarray,
) -> View:
    """What one role's token looked at, beside the truth on the frames it saw."""
    both = sample.expression.is_interaction
    return View(
        look.attention[role],
        look.is_vision,
        grid,
        mask=session.pooled(sample, role),
        other_mask=session.pooled(sample, 1 - role) if both else None,
        other=look.attention[1 - role] if both else None,
        sinks=sinks,
        anywhere=look.anywhere,
        written=look.written[role],
    )


def _capture_role(
    captured: _Captured,
    view: View,
    look: _Look,
    result: SegmentationResult,
    sample: VideoSample,
    role: int,
    session: _Session,
) -> None:
    """Add one role of one sample: its scores, its head metrics and its maps."""
    expression = sample.expression
    scored = sample.video.annotated
    truth = sample.masks(role, scored)
    masks = result.masks[role]
    if masks is not None and scored is not None:
        masks = masks[list(scored)]
    emitted = masks is not None
    predicted = masks if masks is not None else np.zeros_like(truth)
    j, f = float(jaccard(predicted, truth).mean()), float(boundary_f(predicted, truth).mean())
    captured.rows.append(
        SampleRow(
            sample_id=expression.sample_id,
            video_id=expression.video_id,
            exp_id=expression.exp_id,
            role=ROLES[role],
            expression=expression.text,
            caption_type=expression.caption_type,
            emitted=emitted,
            put_into_form=emitted and result.babble is not None,
            j=j,
            f=f,
            jf=(j + f) / 2,
            mask_area=mask_area(view.truth),
            objects=len({i for e in sample.video.expressions for i in e.actor_ids + e.target_ids}),
            centrality=centrality(view.truth, view.grid),
            centre_share=centre_share(view.truth, view.grid),
            n_frames=len(truth),
            query_position=look.position[role] if emitted else -1,
            text=_said(result),
            frame_indices=result.frame_indices,
        )
    )
    if emitted:
        metrics = head_metrics(view)
        if look.maps is not None:
            values = np.stack([look.maps[role, layer, head] for layer, head in session.pairs])
            text, tokens = _on_text(session, look, role)
            captured.maps.append(MapRow(expression.sample_id, ROLES[role], values, text, tokens))
    else:
        shape = look.attention.shape[1:3]
        metrics = {name: np.full(shape, np.nan, np.float32) for name in SCORED}
    captured.metrics.append(metrics)
    captured.truths.append(view.truth)


def _on_text(session: _Session, look: _Look, role: int) -> tuple[np.ndarray, tuple[str | int, ...]]:
    """What is left of the rows of a role's maps: attention on text, and the sequence it is of."""
    end = look.position[role] + 1  # a token sees itself and what is before it
    is_vision = look.is_vision[:end]
    rows = [look.attention[role, layer, head, :end][~is_vision] for layer, head in session.pairs]
    return np.stack(rows), session.tokens(look.ids[:end], is_vision)


def _said(result: SegmentationResult) -> str:
    """What the model answered, and what it had said by itself where that named no role."""
    if result.babble is None:
        return result.text
    return f"{result.text} (put into form; by itself it said: {result.babble or 'nothing'})"


def _write(
    writer: CaptureWriter,
    chunk: int,
    found: Sequence[_Captured],
    pairs: Sequence[tuple[int, int]],
    with_gradients: bool,
) -> None:
    names = [n for n, item in SCORED.items() if with_gradients or not item.needs_gradients]
    metrics = {name: np.stack([m[name] for c in found for m in c.metrics]) for name in names}
    predictions: dict[str, dict] = {}
    for captured in found:
        row = captured.rows[0]
        predictions.setdefault(row.video_id, {})[row.exp_id] = captured.prediction
    writer.write_chunk(
        chunk,
        [row for captured in found for row in captured.rows],
        metrics,
        maps=[m for captured in found for m in captured.maps],
        pairs=pairs,
        predictions=predictions,
    )
