"""A small data set and a made-up capture run over it, with heads planted by hand.

No model is behind it. What is planted, so that tests can ask for it: L2H1 looks at the role's own
object, L1H0 has the most visual attention but looks everywhere alike, the other heads are noise.
A sample's quality drives the planted head and the predicted masks: mask share goes with J&F.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from probes.criteria import SCORED, View, centrality, centre_share, head_metrics
from probes.store import CaptureWriter, MapRow, SampleRow
from reviosa import ROLES
from reviosa.data import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.evaluation import boundary_f, jaccard
from reviosa.evaluation.predictions import encode_prediction
from reviosa.run_record import open_run

__all__ = ["HOSTILE", "KEPT", "make_capture", "make_dataset", "set_status"]

LAYERS, HEADS, GRID, TEXT_KEYS = 4, 4, 8, 20
LOOKING, MASSIVE = (2, 1), (1, 0)
KEPT = (LOOKING, MASSIVE, (3, 3))
"""Pairs whose maps are kept."""
HOSTILE = "</script><img src=x onerror=alert(1)> ![](http://example.org/x.png) [SEG_ACT]"
"""An answer of a model that must be shown as text and never run."""
WORDS = ("<s>", "Who", " acts", "?", *(f" w{n}" for n in range(12)), "<b>x</b>", '"', "It", " is")
"""The text tokens of every made-up sample; the patches stand behind the fourth."""


def make_dataset(folder: Path, videos: int = 4, seed: int = 0) -> InterRVOSDataset:
    write_synthetic(folder, videos, seed, WorldConfig(height=96, width=128, frames=8))
    return InterRVOSDataset(folder)


def make_capture(
    directory: Path,
    dataset: InterRVOSDataset,
    *,
    maps: bool = True,
    silent: bool = False,
    seed: int = 0,
) -> Path:
    """Write a capture run; the last target is not emitted, the first answer is hostile.

    ``silent``: no role is emitted at all.
    """
    rng = np.random.default_rng(seed)
    data = {"path": str(dataset.root), "identity": dataset.identity}
    model = {"name": "planted", "supervised_pairs": [list(LOOKING)]}
    config = {"maps": "selected" if maps else "none", "model": "planted"}
    with open_run(directory, "capture", config, seed, data, model):
        writer = CaptureWriter(directory)
        last = dataset.interactions[-1].expression.sample_id
        for chunk, start in enumerate(range(0, len(dataset.samples), 8)):
            rows, metrics, kept, predictions = [], [], [], {}
            for index, sample in enumerate(dataset.samples[start : start + 8], start):
                text = HOSTILE if index == 0 else "It is [SEG_ACT]."
                missing = ROLES if silent else ()
                if sample.expression.sample_id == last and not silent:
                    missing = ROLES[1:]
                made = _sample(rng, sample, text, missing)
                for row, values, attention, words in made["rows"]:
                    rows.append(row)
                    metrics.append(values)
                    if row.emitted and maps:
                        tokens = (*WORDS[:4], attention[0].size, *WORDS[4:])
                        kept.append(MapRow(row.sample_id, row.role, attention, words, tokens))
                video = predictions.setdefault(sample.video.video_id, {})
                video[sample.expression.exp_id] = made["prediction"]
            stacked = {name: np.stack([values[name] for values in metrics]) for name in SCORED}
            writer.write_chunk(
                chunk, rows, stacked, maps=kept, pairs=KEPT if maps else (), predictions=predictions
            )
    return directory


def set_status(directory: Path, status: str, error: str | None = None) -> None:
    path = directory / "run.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "status": status, "finished": None, "error": error}))


def _sample(rng, sample, text, missing):
    indices = tuple(range(0, len(sample.video.frame_names), 2))
    expression = sample.expression
    quality = float(rng.uniform(0.05, 1))
    roles = ROLES if expression.is_interaction else ROLES[:1]
    named = [role for role in roles if role not in missing]
    rows, masks = [], dict.fromkeys(ROLES)
    for role in roles:
        truth = sample.masks(ROLES.index(role))
        emitted = role in named
        values, attention, words = _attention(rng, truth[list(indices)], quality, emitted)
        j = f = 0.0
        if emitted:
            shift = int(round((1 - quality) * 20))
            masks[role] = np.roll(truth, (shift, shift // 2), axis=(1, 2))
            j = float(jaccard(masks[role], truth).mean())
            f = float(boundary_f(masks[role], truth).mean())
        pooled = _pool(truth[list(indices)])
        objects = len({i for e in sample.video.expressions for i in e.actor_ids + e.target_ids})
        row = SampleRow(
            expression.sample_id, expression.video_id, expression.exp_id, role, expression.text,
            expression.caption_type, emitted, False, j, f, (j + f) / 2,
            float(pooled.mean()), objects, centrality(pooled, pooled.shape),
            centre_share(pooled, pooled.shape), len(truth), 100 if emitted else -1, text, indices,
        )  # fmt: skip
        rows.append((row, values, attention, words))
    prediction = encode_prediction(
        expression.text, sample.video.frame_names, text, masks["actor"], masks["target"]
    )
    return {"rows": rows, "prediction": prediction}


def _attention(rng, truth, quality, emitted):
    pooled = _pool(truth)
    if not emitted:
        return {name: np.full((LAYERS, HEADS), np.nan, np.float32) for name in SCORED}, None, None
    patches = pooled.size
    noise = rng.dirichlet(np.full(patches, 0.5), size=(LAYERS, HEADS))
    noise[MASSIVE] = 1 / patches
    on_object = pooled.ravel() / max(pooled.sum(), 1e-9)
    noise[LOOKING] = quality * on_object + (1 - quality) * noise[LOOKING]
    mass = (
        0.25
        + 0.1 * np.arange(LAYERS)[:, None] * (np.arange(LAYERS)[:, None] < 3)
        + rng.uniform(0, 0.05, (LAYERS, HEADS))
    )
    mass[MASSIVE] = 0.9
    vision = noise * mass[..., None]
    text = np.repeat((1 - mass)[..., None] / TEXT_KEYS, TEXT_KEYS, axis=-1)
    attention = np.concatenate([text, vision], axis=-1)
    is_vision = np.arange(attention.shape[-1]) >= TEXT_KEYS
    kept = np.stack([vision[pair].reshape(pooled.shape) for pair in KEPT])
    view = View(attention, is_vision, pooled.shape, pooled.ravel())
    return head_metrics(view), kept, np.stack([text[pair] for pair in KEPT])


def _pool(masks):
    """Mean of bool [frame, height, width] over GRID x GRID patches."""
    return np.stack(
        [
            np.asarray(
                Image.fromarray(mask.astype(np.float32)).resize((GRID, GRID), Image.Resampling.BOX)
            )
            for mask in masks
        ]
    )
