"""A model that is not ReVIOSa, from its attention to a ranking: any query tokens, any grid."""

import numpy as np
import pytest
import torch

from probes.correlation import correlate
from probes.criteria import View, head_metrics
from probes.ranking import rank
from probes.store import CaptureStore
from probes.writer import CaptureWriter, SampleRow
from reviosa.errors import ConfigError
from reviosa.model import find_tokens, patch_grid, record_attention
from reviosa.run_record import open_run
from tests.fixtures_decoders import ASK, IMAGE, qwen2_vl

TOKENS = ("asked", "asked again")


def row(video, name, attention):
    undefined = float("nan")
    return SampleRow(
        f"{video}/0", video, "0", name, "what is it", "question", attention is not None, False,
        undefined, undefined, 0.1 + 0.1 * int(video[1:]), undefined, 1, undefined, undefined, 1, -1,
        "", (0,),
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Eight random Qwen2-VL models stand for eight videos; two sequences each, of other grids."""
    folder = tmp_path_factory.mktemp("runs") / "qwen"
    rows, metrics = [], []
    with open_run(folder, "capture", {}, 0):
        for video in range(8):
            torch.manual_seed(video)
            case = qwen2_vl()
            sizes = case.inputs["image_grid_thw"] // torch.tensor([1, 2, 2])
            with torch.no_grad(), record_attention(
                case.model, lambda ids: find_tokens(ids, ASK),
                lambda ids, sizes=sizes: patch_grid(ids, IMAGE, sizes),
            ) as record:  # fmt: skip
                case.model(**case.inputs)
            grid, attention = record.vision_grid, record.attention.numpy()
            is_vision = (grid[0, :, 0] >= 0).numpy()
            mask = np.zeros(int(is_vision.sum()))
            mask[video % len(mask)] = 1
            for query, name in enumerate(TOKENS[: attention.shape[1]]):
                seen = attention[0, query]
                view = View(seen, is_vision, tuple(case.sizes[0]), mask)
                rows.append(row(f"v{video}", name, None if np.isnan(seen).all() else seen))
                metrics.append(head_metrics(view))
        stacked = {name: np.stack([m[name] for m in metrics]) for name in metrics[0]}
        CaptureWriter(folder).write_chunk(0, rows, stacked)
    return CaptureStore(folder)


def test_its_tokens_are_ranked_by_their_name(store):
    assert set(store.roles) >= {"actor", "target", "asked"}
    ranking = rank(store, "auroc", "asked", resamples=50)
    assert ranking.role == "asked" and ranking.n_videos == 8 and len(ranking.pairs) == 3 * 4
    table = store.head_array("auroc", "asked")
    wanted = np.nanmean(table.values, axis=0)
    best = ranking.pairs[0]
    assert best.score == pytest.approx(wanted.max(), abs=1e-6)
    assert (best.layer, best.head) == np.unravel_index(wanted.argmax(), wanted.shape)
    found = correlate(store, "asked", resamples=20)
    assert found.role == "asked" and found.n == 8


def test_other_names_are_refused_with_the_ones_there_are(store):
    with pytest.raises(ConfigError, match=r"unknown role 'verb'; choose act, tar or both, asked"):
        rank(store, "auroc", "verb")
    with pytest.raises(
        ConfigError, match="unknown role 'verb'; choose one of actor, target, asked"
    ):
        store.head_array("auroc", "verb")
    with pytest.raises(ValueError, match="expected a name without"):
        row("v0", "a|b", None)
