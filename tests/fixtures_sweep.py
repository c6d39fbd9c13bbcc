"""Trials and sweeps made up in memory, with gains and attention chosen by the test."""

from pathlib import Path

import numpy as np
import pandas as pd

from probes.sweeps import SweepRuns, TrialRuns

__all__ = ["CLAIM", "PAIR", "look", "sweep", "trial"]

PAIR = (1, 0)
CLAIM = {
    "says": "b beats a",
    "source": "nowhere",
    "better": "b/rvos",
    "than": "a/rvos",
    "least": 1.0,
}


def trial(arm, seed, gain=0.0, pairs=(), attention=(), roles="both", scores=("rvos",)):
    rng = np.random.default_rng(7)
    table = pd.DataFrame(
        {
            "sample_id": [f"s{i:02d}" for i in range(40)],
            "video_id": [f"v{i // 2}" for i in range(40)],
            "jf": rng.uniform(0.2, 0.6, 40) + gain,
        }
    )
    header = {"config": {"roles": roles, "steps": 5}}
    found = {name: table for name in scores}
    return TrialRuns(f"{arm}{seed}", arm, seed, pairs, header, found, tuple(attention))


def sweep(trials, claims=(CLAIM,), baseline="a"):
    arms = {t.arm: t.arm.upper() for t in trials}
    config = {"claims": list(claims)}
    return SweepRuns("made-up", Path("made-up"), baseline, arms, config, tuple(trials), ())


def look(step, pulled, others, pair=PAIR):
    """A line of the attention log: the mask share of one pair, and of the three others."""
    share = np.full((2, 2), others)
    share[pair] = pulled
    return {"step": step, "role": "actor", "mask_share": share.tolist()}
