"""Successive halving: after some steps only the better arms go on.

Arms are judged by J&F on the selection split alone, so that nothing is chosen on what is reported
(Jamieson and Talwalkar, 2016, with all arms at one budget a rung).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reviosa.io import write_json

__all__ = ["HALVING_FILE", "HALVING_SCHEMA", "arm_scores", "survivors", "write_rungs"]

HALVING_FILE: Final = "halving.json"
HALVING_SCHEMA: Final = 1


def arm_scores(scores: Mapping[str, float], arms: Mapping[str, str]) -> dict[str, float]:
    """The mean of each arm over the trials that were measured.

    Args:
        scores: trial id -> J&F in per cent on the selection split.
        arms: trial id -> arm.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for key, score in scores.items():
        found[arms[key]].append(score)
    return {arm: sum(values) / len(values) for arm, values in found.items()}


def survivors(arms: Sequence[str], scores: Mapping[str, float], keep: float) -> list[str]:
    """Which arms go on: the best ``keep`` of them, rounded up; ties go to the earlier one.

    An arm that could not be measured, because all its trials failed, does not go on.

    Args:
        arms: those that race, in the order of the sweep.
        scores: mean of each arm that was measured.
        keep: share that goes on, between 0 and 1.
    """
    measured = [arm for arm in arms if arm in scores and not math.isnan(scores[arm])]
    best = sorted(measured, key=lambda arm: -scores[arm])[: math.ceil(keep * len(arms))]
    return [arm for arm in arms if arm in best]


def write_rungs(folder: Path, metric: str, rungs: Sequence[Mapping[str, Any]]) -> None:
    """Write which arms were cut where, on what."""
    value = {"schema": HALVING_SCHEMA, "metric": metric, "rungs": list(rungs)}
    write_json(folder / HALVING_FILE, value)
