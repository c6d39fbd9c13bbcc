"""Small capture runs and tables with values chosen by the test."""

import json

import numpy as np
import pytest
from hypothesis import settings

from probes.criteria import SCORED
from probes.store import CaptureWriter, HeadTable, SampleRow

# A shared machine stalls now and then; a slow example is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

HEADER = {
    "schema": 1,
    "kind": "capture",
    "status": "done",
    "created": "2026-01-01T00:00:00+00:00",
    "finished": None,
    "config": {},
    "seed": 0,
    "git": {"commit": None, "dirty": None},
    "versions": {},
    "data": None,
    "model": {"supervised_pairs": [[1, 0]]},
    "error": None,
}


@pytest.fixture
def header():
    return dict(HEADER)


@pytest.fixture
def table():
    """Make a HeadTable; videos default to one per two samples."""

    def make(values, videos=None, jf=None, area=None, metric="mask_share", role="actor", ids=None):
        values = np.asarray(values, dtype=np.float64)
        n = len(values)
        videos = [f"v{i // 2}" for i in range(n)] if videos is None else videos
        return HeadTable(
            metric=metric,
            role=role,
            values=values,
            sample_ids=tuple(f"s{i}" for i in range(n)) if ids is None else tuple(ids),
            video_ids=np.asarray(videos, dtype=str),
            jf=np.linspace(0.1, 0.9, n) if jf is None else np.asarray(jf, dtype=np.float64),
            mask_area=np.full(n, 0.1) if area is None else np.asarray(area, dtype=np.float64),
            emitted=np.isfinite(values).any(axis=(1, 2)),
        )

    return make


@pytest.fixture
def row():
    """Make a SampleRow of expression ``exp`` of video ``video``."""

    def make(video="v0", exp="0", role="actor", **changes):
        values = dict(
            sample_id=f"{video}/{exp}",
            video_id=video,
            exp_id=exp,
            role=role,
            expression="the cat chases the dog",
            caption_type="unidirectional",
            emitted=True,
            put_into_form=False,
            j=0.5,
            f=0.7,
            jf=0.6,
            mask_area=0.25,
            objects=3,
            centrality=0.5,
            centre_share=0.3,
            n_frames=16,
            query_position=40,
            text="It is [SEG_ACT].",
            frame_indices=(0, 4, 8),
        )
        return SampleRow(**{**values, **changes})

    return make


@pytest.fixture
def metrics():
    """Metric arrays [row, layer, head] whose values name their place."""

    def make(rows, layers=2, heads=3, start=0):
        base = np.arange(rows * layers * heads, dtype=np.float32).reshape(rows, layers, heads)
        return {name: base + start + 1000 * i for i, name in enumerate(SCORED)}

    return make


@pytest.fixture
def run(tmp_path):
    """Make an empty run directory: (directory, writer)."""

    def make(name="run", **changes):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "run.json").write_text(json.dumps({**HEADER, **changes}))
        return directory, CaptureWriter(directory)

    return make
