"""Successive halving: after some steps only the better arms go on.

Arms are judged by J&F on the selection split alone, so that nothing is chosen on what is reported
(Jamieson and Talwalkar, 2016, with all arms at one budget a rung).
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from probes._json import plain
from probes.halving import HALVING_FILE, Halving, read_halving
from reviosa.io import write_json

__all__ = ["arm_scores", "cut_arms", "survivors", "write_halving"]


def arm_scores(scores: Mapping[str, float | None], arms: Mapping[str, str]) -> dict[str, float]:
    """The mean of each arm over the trials that were measured.

    Args:
        scores: trial id -> J&F in per cent on the selection split; None where the trial failed.
        arms: trial id -> arm.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for key, score in scores.items():
        if score is not None and not math.isnan(score):
            found[arms[key]].append(score)
    return {arm: sum(values) / len(values) for arm, values in found.items()}


def survivors(
    arms: Sequence[str],
    scores: Mapping[str, float],
    keep: float,
    safe: Collection[str] = (),
    controls: Mapping[str, str] | None = None,
) -> list[str]:
    """Which arms go on: the best ``keep`` of those that race, rounded up; ties to the earlier one.

    An arm that could not be measured, because all its trials failed, does not go on.

    Args:
        arms: those that are left, in the order of the sweep.
        scores: mean of each arm that was measured.
        keep: share of the racing arms that goes on, between 0 and 1.
        safe: arms that go on whatever they score, and do not race.
        controls: control -> the arm that it is a control of. It does not race either, but goes
            where that arm goes: without it the arm could not be told from chance.
    """
    follows = {c: arm for c, arm in (controls or {}).items() if c not in safe and arm in arms}
    racing = [arm for arm in arms if arm not in safe and arm not in follows]
    measured = [arm for arm in racing if arm in scores]
    best = sorted(measured, key=lambda arm: -scores[arm])[: math.ceil(keep * len(racing))]
    alive = {*best, *safe}
    alive |= {control for control, arm in follows.items() if arm in alive}
    return [arm for arm in arms if arm in alive]


def cut_arms(folder: Path) -> frozenset[str]:
    """Arms that were cut when the sweep was last run."""
    halving = read_halving(folder)
    return frozenset(halving.cut if halving is not None else ())


def write_halving(folder: Path, halving: Halving | None) -> None:
    """Write which arms were cut where, on what; remove what an earlier file said where none are."""
    if halving is None:
        (folder / HALVING_FILE).unlink(missing_ok=True)
    else:
        write_json(folder / HALVING_FILE, plain(halving))
