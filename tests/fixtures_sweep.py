"""Trials and sweeps made up in memory, with gains and attention chosen by the test."""

from pathlib import Path

import numpy as np
import pandas as pd

from probes.sweeps import SweepRuns, TrialRuns

__all__ = ["CLAIM", "PAIR", "look", "rows", "sweep", "trial"]

PAIR = (1, 0)
CLAIM = {
    "says": "b beats a",
    "source": "nowhere",
    "better": "b/rvos",
    "than": "a/rvos",
    "least": 1.0,
}


def trial(
    arm, seed, gain=0.0, pairs=(), attention=(), roles="both", scores=("rvos",), selection=None
):
    """A trial whose J&F is a fixed draw plus ``gain``; ``selection`` is its gain on that split."""
    header = {"config": {"roles": roles, "steps": 5}}
    found = {name: rows(gain) for name in scores}
    chosen = {} if selection is None else {name: rows(selection, "p") for name in scores}
    return TrialRuns(f"{arm}{seed}", arm, seed, pairs, header, found, tuple(attention), chosen)


def rows(gain, prefix="s"):
    """Forty expressions of twenty videos."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "sample_id": [f"{prefix}{i:02d}" for i in range(40)],
            "video_id": [f"v{i // 2}" for i in range(40)],
            "jf": rng.uniform(0.2, 0.6, 40) + gain,
        }
    )


def sweep(trials, claims=(CLAIM,), baseline="a", arms=None, rules=None, **fields):
    """A sweep of these trials.

    Args:
        trials: those that are finished.
        claims: that the file states.
        baseline: name of the arm.
        arms: all names, where some have no finished trial.
        rules: arm -> rule for its pairs.
        fields: of :class:`SweepRuns`.
    """
    names = arms or list(dict.fromkeys(t.arm for t in trials))
    stated = {name: {"set": {}, "heads": (rules or {}).get(name)} for name in names}
    seeds = sorted({t.seed for t in trials})
    fields.setdefault("planned", tuple((f"{a}{s}", a, s) for s in seeds for a in names))
    config = {"claims": list(claims), "arms": stated}
    titles = {name: name.upper() for name in names}
    return SweepRuns(
        "made-up", Path("made-up"), baseline, titles, config, tuple(trials),
        fields.pop("problems", ()), **fields,
    )  # fmt: skip


def look(step, pulled, others, pair=PAIR):
    """A line of the attention log: the mask share of one pair, and of the three others."""
    share = np.full((2, 2), others)
    share[pair] = pulled
    return {"step": step, "role": "actor", "mask_share": share.tolist()}
